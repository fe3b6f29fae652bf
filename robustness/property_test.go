package robustness

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
)

// TestProperties drives a streamer with one call after another, and clock steps
// in both directions between them, and compares what it returns, and its Stats
// after each call, with the reference. A failure is shrunk to its shortest form and
// reproduced by the flags that rapid prints.
func TestProperties(t *testing.T) {
	property := properties(func(clock memstreamer.Clock, retention time.Duration) described {
		return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(retention))
	})
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, property) })
}

// TestPropertiesFindEachFault shows that comparing finds the faults. It makes one
// call at a time, and so cannot see the one that needs a Recv to be woken.
func TestPropertiesFindEachFault(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s", "rapid.checks": "2000"} {
		f := flag.Lookup(name)
		defer func(before string) { _ = f.Value.Set(before) }(f.Value.String())
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range reference.Subtle() {
		if fault.Does == "loses a wake-up now and then" {
			continue
		}
		t.Run(fault.Does, func(t *testing.T) {
			f := &failing{}
			property := properties(func(clock memstreamer.Clock, retention time.Duration) described {
				return reference.New(fault, clock, retention)
			})
			synctest.Test(t, func(t *testing.T) {
				f.T = t
				rapid.Check(f, property)
			})
			if !strings.Contains(f.output.String(), ", and not") {
				t.Errorf("no sequence of calls shows it; it fired %d times: %s", fault.Shown(), &f.output)
			}
		})
	}
}

// failing is a test that has to fail.
type failing struct {
	*testing.T
	output strings.Builder
}

func (f *failing) Errorf(format string, args ...any) { fmt.Fprintf(&f.output, format, args...) }
func (f *failing) Fatalf(format string, args ...any) { f.Errorf(format, args...) }
func (f *failing) FailNow()                          {}
func (f *failing) Fail()                             {}
func (f *failing) Log(...any)                        {}
func (f *failing) Logf(string, ...any)               {}

func properties(makes func(memstreamer.Clock, time.Duration) described) func(*rapid.T) {
	return func(t *rapid.T) {
		t.Repeat(rapid.StateMachineActions(newPair(t, makes)))
	}
}
