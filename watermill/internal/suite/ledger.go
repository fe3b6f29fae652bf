package suite

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Ledger handles messages, and records whether they came as a group has them: each
// once, one of a key at a time, and in the order of their UUIDs. Its methods are
// safe for concurrent use.
type Ledger struct {
	All chan struct{} // closed when all messages were handled

	messages int
	key      func(*message.Message) string

	mu                   sync.Mutex
	total, busy, busiest int
	handled              map[string][]string // UUIDs, by key
	handling             map[string]int
	errs                 []error
}

// NewLedger returns a Ledger of that many messages.
func NewLedger(messages int, key func(*message.Message) string) *Ledger {
	return &Ledger{
		All:      make(chan struct{}),
		messages: messages,
		key:      key,
		handled:  make(map[string][]string),
		handling: make(map[string]int),
	}
}

// Handle takes d for m, and acks it.
func (l *Ledger) Handle(m *message.Message, d time.Duration) {
	key := l.key(m)
	l.count(key, 1)
	time.Sleep(d)
	l.count(key, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handled[key] = append(l.handled[key], m.UUID)
	if l.total++; l.total == l.messages {
		close(l.All)
	}
	m.Ack()
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
	for key, uuids := range l.handled {
		if !slices.IsSorted(uuids) || len(slices.Compact(slices.Clone(uuids))) < len(uuids) {
			l.errs = append(l.errs, fmt.Errorf("the messages of key %q were handled in the order %q", key, uuids))
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
