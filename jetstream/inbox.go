package jetstream

import (
	"slices"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// maxInboxes bounds the inboxes of a streamer, each of which has a goroutine.
const maxInboxes = 8

// inbox is a subject where the server delivers the events of all cursors.
//
// A pull request that was given up may still deliver an event, even after another
// process has acked it. A delivery does not say which pull request it answers. So the
// pull requests after one that was given up use another inbox. The old one stays, to
// give late events back to the server, which would otherwise wait for AckWait.
type inbox struct {
	subject string
	sub     *nats.Subscription
	stale   atomic.Bool // a pull request was given up that delivers here
}

// inbox returns the inbox for the next pull request.
func (s *Streamer) inbox() (*inbox, error) {
	in, oldest, err := s.freshInbox()
	if oldest != nil {
		unsubscribe(oldest.sub)
		for _, c := range s.allCursors() {
			c.lostInbox(oldest)
		}
	}
	return in, err
}

// freshInbox returns an inbox that is not stale and, if there are too many, the oldest.
func (s *Streamer) freshInbox() (in, oldest *inbox, err error) {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	if err := s.closed(); err != nil {
		return nil, nil, err
	}
	if last := len(s.inboxes) - 1; last >= 0 && !s.inboxes[last].stale.Load() {
		return s.inboxes[last], nil, nil
	}
	in = &inbox{subject: s.conn.NewInbox()}
	in.sub, err = s.subscribe(in.subject+".>", func(m *nats.Msg) { s.deliver(in, m) })
	if err != nil {
		return nil, nil, err
	}
	s.inboxes = append(s.inboxes, in)
	if len(s.inboxes) > maxInboxes {
		oldest = s.inboxes[0]
		s.inboxes = slices.Delete(s.inboxes, 0, 1)
	}
	return in, oldest, nil
}

// closeInboxes ends what the server delivers. The streamer has to be closed.
func (s *Streamer) closeInboxes() {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	for _, in := range s.inboxes {
		unsubscribe(in.sub)
	}
	s.inboxes = nil
}

func unsubscribe(sub *nats.Subscription) {
	// It fails only if the connection is closed, and sub with it.
	_ = sub.Unsubscribe()
}
