package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// fileStore is a [fulfilment.Store] in a file to which each change is appended
// as one JSON line. What is in memory is what the lines, one after the other,
// make of an empty store.
type fileStore struct {
	memory *fulfilment.MemoryStore
	lock   *flock.Flock

	mu     sync.Mutex // held during a change, from its check to its line
	file   *os.File
	broken error // the end of the file is in doubt since
	runs   []string
}

// change is one line. One of its fields is set.
type change struct {
	Save   *save `json:"save,omitempty"`
	Delete int64 `json:"delete,omitempty"` // the ID of an event of the outbox
}

type save struct {
	Record fulfilment.Record      `json:"record"`
	Event  fulfilment.OutboxEvent `json:"event"`
}

// openStore opens the store in dir, and makes it where there is none. A last
// line that a crash has torn is dropped: its change was not confirmed.
func openStore(dir string) (*fileStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &fileStore{memory: fulfilment.NewMemoryStore(), lock: flock.New(filepath.Join(dir, "lock"))}
	ok, err := s.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("another process works in %s: give each its own -dir", dir)
	}
	if err := s.open(filepath.Join(dir, "orders.jsonl")); err != nil {
		return nil, errors.Join(err, s.lock.Unlock())
	}
	return s, nil
}

func (s *fileStore) open(name string) (err error) {
	s.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	end, err := s.replay(s.file)
	if err == nil {
		err = s.file.Truncate(end)
	}
	if err == nil {
		_, err = s.file.Seek(end, io.SeekStart)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", name, err), s.file.Close())
	}
	return nil
}

// replay makes the changes that r holds, and returns where the last whole line
// ends.
func (s *fileStore) replay(r io.Reader) (end int64, err error) {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return end, nil
		}
		if err != nil {
			return 0, err
		}
		var c change
		if err := json.Unmarshal(line, &c); err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		if err := s.apply(context.Background(), c); err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		end += int64(len(line))
	}
}

// apply makes a change in memory.
func (s *fileStore) apply(ctx context.Context, c change) error {
	if c.Save == nil {
		return s.memory.DeleteOutboxEvent(ctx, c.Delete)
	}
	if c.Save.Record.Version == 1 {
		s.runs = append(s.runs, c.Save.Record.RunID)
	}
	return s.memory.Save(ctx, c.Save.Record, c.Save.Event)
}

// write appends a change to the file and, with sync, has it on the disk.
func (s *fileStore) write(c change, sync bool) error {
	if s.broken != nil {
		return s.broken
	}
	var line bytes.Buffer
	err := json.NewEncoder(&line).Encode(c)
	if err != nil {
		return err
	}
	if _, err = s.file.Write(line.Bytes()); err == nil && sync {
		err = s.file.Sync()
	}
	if err != nil {
		s.broken = fmt.Errorf("the store needs a restart: %w", err)
	}
	return s.broken
}

// Save implements [fulfilment.Store].
func (s *fileStore) Save(ctx context.Context, record fulfilment.Record, event fulfilment.OutboxEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.memory.Load(ctx, record.RunID)
	if err != nil && !errors.Is(err, fulfilment.ErrNotFound) {
		return err
	}
	if record.Version != stored.Version+1 {
		return fulfilment.ErrConflict
	}
	c := change{Save: &save{record, event}}
	if err := s.write(c, true); err != nil {
		return err
	}
	// It is on the disk, whatever becomes of ctx.
	return s.apply(context.WithoutCancel(ctx), c)
}

// Load implements [fulfilment.Store].
func (s *fileStore) Load(ctx context.Context, runID string) (fulfilment.Record, error) {
	return s.memory.Load(ctx, runID)
}

// Unfinished implements [fulfilment.Store].
func (s *fileStore) Unfinished(ctx context.Context) ([]fulfilment.Record, error) {
	return s.memory.Unfinished(ctx)
}

// Outbox implements [fulfilment.Store].
func (s *fileStore) Outbox(ctx context.Context, limit int) ([]fulfilment.OutboxEvent, error) {
	return s.memory.Outbox(ctx, limit)
}

// DeleteOutboxEvent implements [fulfilment.Store]. It is not synced: where it is
// lost, the event is sent again, which the engine is made for.
func (s *fileStore) DeleteOutboxEvent(ctx context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	c := change{Delete: id}
	if err := s.write(c, false); err != nil {
		return err
	}
	return s.apply(context.WithoutCancel(ctx), c)
}

// All returns the records of all runs in the order in which they were accepted.
func (s *fileStore) All(ctx context.Context) ([]fulfilment.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := make([]fulfilment.Record, len(s.runs))
	for i, runID := range s.runs {
		var err error
		if records[i], err = s.memory.Load(ctx, runID); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// Close closes the file.
func (s *fileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.file.Close(), s.lock.Unlock())
}
