package luno

import "github.com/luno/workflow"

// Parked returns for how many workflows calls of ListOutboxEvents are under way in a
// store of ParkOutbox's.
func Parked(store workflow.RecordStore) int {
	s, ok := store.(*parkedStore)
	if !ok {
		s = store.(*parkedTestingStore).parkedStore
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.parked)
}
