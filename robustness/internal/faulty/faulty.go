// Package faulty makes streamers with one fault each, to see whether a check
// finds it.
package faulty

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

// Fault is one fault, of any number of streamers.
type Fault struct {
	Name string

	plant  func(*planted) hooked.Hooks
	chance atomic.Int64
	fired  atomic.Int64
}

// All returns every fault there is.
func All() []*Fault {
	return []*Fault{
		{Name: "drops one event in a thousand", plant: dropEvents},
		{Name: "rewinds on a late ack", plant: rewindOnLateAck},
		{Name: "loses a wake-up now and then", plant: loseWakeUps},
		{Name: "shares a cursor between topics", plant: shareCursors},
		{Name: "trims one event too early", plant: trimEarly},
		{Name: "reorders two neighbours", plant: reorder},
		{Name: "keeps nothing for a closed receiver", plant: dropWhatTheClosedHold},
		{Name: "gives a new name what is too old for it", plant: giveNewNamesOldEvents},
	}
}

// New returns a streamer with the fault.
func (f *Fault) New(clock memstreamer.Clock, retention time.Duration) *hooked.Streamer {
	s := memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
	return hooked.Wrap(s, f.plant(&planted{
		fault: f, streamer: s, clock: clock, retention: retention, again: map[cursor][]memstreamer.Event{},
	}))
}

// Fired returns how often the fault has shown.
func (f *Fault) Fired() int64 { return f.fired.Load() }

// planted is a fault in one streamer, and what it knows of it.
type planted struct {
	fault     *Fault
	streamer  *memstreamer.StreamConstructor
	clock     memstreamer.Clock
	retention time.Duration

	mu    sync.Mutex                     // for what a fault keeps; not held during calls of the streamer
	again map[cursor][]memstreamer.Event // for recv
}

// fires counts that the fault shows.
func (p *planted) fires() { p.fault.fired.Add(1) }

// every reports, in one call of n, that it is time for the fault.
func (p *planted) every(n int64) bool { return p.fault.chance.Add(1)%n == 0 }

// recv is a Recv that delivers the events in again before what the streamer would,
// the first of them as often as it is not acked.
func (p *planted) recv(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
	c := cursorOf(r)
	usable := r.Usable(ctx) // a context may sleep
	p.mu.Lock()
	if len(p.again[c]) == 0 || !usable {
		p.mu.Unlock()
		return r.EventReceiver.Recv(ctx)
	}
	defer p.mu.Unlock()
	e := clone(&p.again[c][0])
	return &e, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if again := p.again[c]; len(again) > 0 && again[0].ID == e.ID {
			p.again[c] = again[1:]
		}
		return nil
	}, nil
}

func clone(e *memstreamer.Event) memstreamer.Event {
	c := *e
	c.Headers = maps.Clone(e.Headers)
	return c
}

// cursor is what a streamer has one cursor for.
type cursor struct{ topic, name string }

func cursorOf(r *hooked.Receiver) cursor { return cursor{r.Topic, r.Name} }
