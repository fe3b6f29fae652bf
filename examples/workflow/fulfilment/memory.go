package fulfilment

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// MemoryStore is a [Store] that ends with its process.
type MemoryStore struct {
	mu      sync.Mutex
	records map[string]Record
	outbox  []OutboxEvent // by ID
	lastID  int64
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{records: make(map[string]Record)}
}

// Save implements [Store].
func (s *MemoryStore) Save(ctx context.Context, record Record, event OutboxEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case record.Version != s.records[record.RunID].Version+1:
		return ErrConflict
	}
	s.records[record.RunID] = record
	s.lastID++
	event.ID = s.lastID
	s.outbox = append(s.outbox, event)
	return nil
}

// Load implements [Store].
func (s *MemoryStore) Load(ctx context.Context, runID string) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, ok := s.records[runID]
	switch {
	case ctx.Err() != nil:
		return Record{}, ctx.Err()
	case !ok:
		return Record{}, ErrNotFound
	}
	return record, nil
}

// Unfinished implements [Store].
func (s *MemoryStore) Unfinished(ctx context.Context) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unfinished []Record
	for _, record := range s.records {
		if record.Status != Delivered {
			unfinished = append(unfinished, record)
		}
	}
	return unfinished, ctx.Err()
}

// Outbox implements [Store].
func (s *MemoryStore) Outbox(ctx context.Context, limit int) ([]OutboxEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.outbox[:min(limit, len(s.outbox))]), ctx.Err()
}

// DeleteOutboxEvent implements [Store].
func (s *MemoryStore) DeleteOutboxEvent(ctx context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearchFunc(s.outbox, id, func(e OutboxEvent, id int64) int { return cmp.Compare(e.ID, id) })
	switch {
	case ctx.Err() != nil || !found:
		return ctx.Err()
	case i == 0:
		s.outbox = s.outbox[1:] // slices.Delete would move all the others
	default:
		s.outbox = slices.Delete(s.outbox, i, i+1)
	}
	return nil
}
