package streamertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/enginetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestStreamConstructor(t *testing.T) {
	Run(t, func(*testing.T) memstreamer.EventStreamer {
		return memstreamer.New()
	}, InMemory())
}

func TestThroughAs(t *testing.T) {
	Run(t, func(*testing.T) memstreamer.EventStreamer {
		return enginetest.Through(memstreamer.New())
	}, InMemory())
}

// TestThroughAsOfAnother takes the way through As that a StreamConstructor does
// not need, and shows that a wrapped streamer without a fault is faithful.
func TestThroughAsOfAnother(t *testing.T) {
	Run(t, func(t *testing.T) memstreamer.EventStreamer {
		return enginetest.Through(wrap(t.Context(), hooks{}))
	}, InMemory())
}

// TestSlow runs the suite on what a network makes of the contract: calls that take
// their time, events that are there a moment after they might be, IDs with gaps,
// a goroutine for each call, and no Close.
func TestSlow(t *testing.T) {
	const latency = time.Millisecond
	slow := hooks{
		NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			time.Sleep(latency)
			return s.OpenReceiver(ctx, topic, name, opts...)
		},
		Send: func(ctx context.Context, s *sender, e outgoing) error {
			sent := make(chan error)
			go func() {
				time.Sleep(latency)
				sent <- s.Pass(ctx, e)
			}()
			return <-sent
		},
		Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err != nil {
				return nil, nil, err
			}
			time.Sleep(latency)
			e.ID *= 3
			return e, ack, nil
		},
	}
	Run(t, func(t *testing.T) memstreamer.EventStreamer {
		return struct{ memstreamer.EventStreamer }{wrap(t.Context(), slow)}
	}, WithQuiet(5*latency))
}

func TestSkips(t *testing.T) {
	c, err := resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range contract {
		r := record(func(tb testing.TB) {
			p.try(tb, c, func() memstreamer.EventStreamer { return struct{ memstreamer.EventStreamer }{memstreamer.New()} })
		})
		if skipped := r.skipped != ""; skipped != (p.needs != nothing) {
			t.Errorf("%s was skipped: %t (%s)", p.name, skipped, r.skipped)
		}
	}
}

func TestNilStreamer(t *testing.T) {
	c, err := resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := record(func(tb testing.TB) {
		contract[0].try(tb, c, func() memstreamer.EventStreamer { return nil })
	})
	if want := "newStreamer returned nil"; r.String() != want {
		t.Errorf("the check reports %q, not %q", r, want)
	}
}

func TestOptions(t *testing.T) {
	for says, opts := range map[string][]Option{
		"option 2 of 2 is nil": {InMemory(), nil},
		"WithDeadline(0s)":     {WithDeadline(0)},
		"WithQuiet(-1s)":       {WithQuiet(-time.Second)},
	} {
		if _, err := resolve(opts); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, and does not say %q", err, says)
		}
	}
	c, err := resolve([]Option{WithDeadline(time.Hour), WithQuiet(time.Minute), InMemory()})
	if want := (config{deadline: time.Hour, quiet: time.Minute, inMemory: true}); err != nil || c != want {
		t.Errorf("the options set %+v (%v), not %+v", c, err, want)
	}
}
