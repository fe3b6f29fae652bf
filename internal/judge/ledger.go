package judge

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Ledger handles messages with keys, and records whether they came as a group has
// them: each once, one of a key at a time, and in the order of their IDs. Its
// methods are safe for concurrent use.
type Ledger struct {
	All chan struct{} // closed when all messages were handled

	messages int

	mu                   sync.Mutex
	total, busy, busiest int
	handled              map[string][]string // IDs, by key
	handling             map[string]int
	errs                 []error
}

// NewLedger returns a Ledger of that many messages.
func NewLedger(messages int) *Ledger {
	return &Ledger{
		All:      make(chan struct{}),
		messages: messages,
		handled:  make(map[string][]string),
		handling: make(map[string]int),
	}
}

// Handle takes d for a message, and acks it.
func (l *Ledger) Handle(key, id string, d time.Duration, ack func() bool) {
	l.count(key, 1)
	time.Sleep(d)
	l.count(key, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handled[key] = append(l.handled[key], id)
	if l.total++; l.total == l.messages {
		close(l.All)
	}
	ack()
}

func (l *Ledger) count(key string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy += n
	l.busiest = max(l.busiest, l.busy)
	l.handling[key] += n
	if l.handling[key] > 1 {
		l.errs = append(l.errs, fmt.Errorf("%d messages of key %q were handled at once", l.handling[key], key))
	}
}

// Check returns an error that says which messages came otherwise, if more than
// that many were handled at once, and if not all were.
func (l *Ledger) Check(atOnce int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, ids := range l.handled {
		if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) < len(ids) {
			l.errs = append(l.errs, fmt.Errorf("the messages of key %q were handled in the order %q", key, ids))
		}
	}
	if l.busiest > atOnce {
		l.errs = append(l.errs, fmt.Errorf("%d messages were handled at once, and not %d", l.busiest, atOnce))
	}
	if l.total != l.messages {
		l.errs = append(l.errs, fmt.Errorf("%d of %d messages were handled", l.total, l.messages))
	}
	return errors.Join(l.errs...)
}
