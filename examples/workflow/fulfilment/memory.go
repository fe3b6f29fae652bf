package fulfilment

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// MemoryStore is a [Store] that ends with its process. It waits for nothing, and
// so needs no context.
type MemoryStore struct {
	mu      sync.Mutex
	records map[string]Record // by order
	outbox  []string          // orders
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{records: make(map[string]Record)}
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, record Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if record.Status != s.records[record.Order.ID].Status+1 {
		return ErrConflict
	}
	s.records[record.Order.ID] = record
	if !slices.Contains(s.outbox, record.Order.ID) {
		s.outbox = append(s.outbox, record.Order.ID)
	}
	return nil
}

// Load implements [Store].
func (s *MemoryStore) Load(_ context.Context, orderID string) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, ok := s.records[orderID]
	if !ok {
		return Record{}, ErrNotFound
	}
	return record, nil
}

// All implements [Store].
func (s *MemoryStore) All(context.Context) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.records)), nil
}

// Outbox implements [Store].
func (s *MemoryStore) Outbox(_ context.Context, limit int) (records []Record, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, orderID := range s.outbox[:min(limit, len(s.outbox))] {
		records = append(records, s.records[orderID])
	}
	return records, nil
}

// Sent implements [Store].
func (s *MemoryStore) Sent(_ context.Context, record Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[record.Order.ID].Status == record.Status {
		s.outbox = slices.DeleteFunc(s.outbox, func(orderID string) bool { return orderID == record.Order.ID })
	}
	return nil
}
