package fulfilment

import (
	"context"
	"sync"
)

// MemoryStore is a [Store] that ends with its process.
type MemoryStore struct {
	mu      sync.Mutex
	records map[string]Record
	outbox  map[int64]OutboxEvent
	first   int64 // no event of the outbox has a lower ID
	last    int64 // the ID of the newest event saved
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{
		records: make(map[string]Record),
		outbox:  make(map[int64]OutboxEvent),
		first:   1,
	}
}

// Save implements [Store].
func (s *MemoryStore) Save(ctx context.Context, record Record, event OutboxEvent) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if record.Version != s.records[record.RunID].Version+1 {
		return ErrConflict
	}
	s.records[record.RunID] = record
	s.last++
	event.ID = s.last
	s.outbox[event.ID] = event
	return nil
}

// Load implements [Store].
func (s *MemoryStore) Load(ctx context.Context, runID string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	record, ok := s.records[runID]
	if !ok {
		return Record{}, ErrNotFound
	}
	return record, nil
}

// Unfinished implements [Store].
func (s *MemoryStore) Unfinished(ctx context.Context) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var unfinished []Record
	for _, record := range s.records {
		if record.Status != Delivered {
			unfinished = append(unfinished, record)
		}
	}
	return unfinished, nil
}

// Outbox implements [Store].
func (s *MemoryStore) Outbox(ctx context.Context, limit int) ([]OutboxEvent, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []OutboxEvent
	for id := s.first; id <= s.last && len(events) < limit; id++ {
		if event, ok := s.outbox[id]; ok {
			events = append(events, event)
		}
	}
	return events, nil
}

// DeleteOutboxEvent implements [Store].
func (s *MemoryStore) DeleteOutboxEvent(ctx context.Context, id int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.outbox, id)
	for s.first <= s.last {
		if _, ok := s.outbox[s.first]; ok {
			break
		}
		s.first++
	}
	return nil
}
