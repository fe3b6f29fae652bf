package streamertest

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/enginetest"
	"github.com/memstreamer/memstreamer/internal/reference"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// TestThroughAsOfAnother shows that the streamer of the faults is faithful without one,
// also through As. The tests of the root run the suite on memstreamer.
func TestThroughAsOfAnother(t *testing.T) {
	Run(t, func(*testing.T) memstreamer.EventStreamer {
		return enginetest.Through(reference.New(nil, nil, 0))
	}, InMemory())
}

// TestSlow runs the suite on what a network makes of the contract, without a Close.
func TestSlow(t *testing.T) {
	Run(t, func(*testing.T) memstreamer.EventStreamer {
		slow := reference.New(&reference.Fault{Does: reference.Slow}, nil, 0)
		return struct{ memstreamer.EventStreamer }{slow}
	}, WithQuiet(5*reference.Latency))
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
