package streamertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
)

// fault is a way to break a promise.
type fault struct {
	breaks string // the promise
	does   string // what the streamer does wrong
	says   string // part of what the check reports
	hooks  hooks
}

var faults = slices.Concat(orderFaults, deliveryFaults, ackFaults, cursorFaults, latestFaults, topicFaults,
	isolationFaults, contextFaults, closingFaults, refusalFaults, goroutineFaults, stressFaults)

// promised returns the promise of that name.
func promised(name string) promise {
	return contract[slices.IndexFunc(contract, func(p promise) bool { return p.name == name })]
}

// TestFaults shows that the suite catches each fault where it should and for the
// reason it should.
func TestFaults(t *testing.T) {
	c, err := resolve([]Option{InMemory(), WithDeadline(time.Second), WithQuiet(30 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	// Many at once: those that only the deadline shows wait for it together.
	reports := make([]chan *recorder, len(faults))
	slots := make(chan struct{}, 20)
	var tried sync.WaitGroup
	defer tried.Wait()
	for i, f := range faults {
		reports[i] = make(chan *recorder, 1)
		tried.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			reports[i] <- record(func(tb testing.TB) {
				promised(f.breaks).try(tb, c, func() memstreamer.EventStreamer { return wrap(t.Context(), f.hooks) })
			})
		})
	}
	for i, f := range faults {
		t.Run(f.breaks+"/"+f.does, func(t *testing.T) {
			report := (<-reports[i]).String()
			if !strings.Contains(report, f.says) {
				t.Errorf("the check reports %q, and not %q", report, f.says)
			}
		})
	}
}

// TestEveryPromiseCanFail shows that the suite has no check which catches nothing.
func TestEveryPromiseCanFail(t *testing.T) {
	for _, p := range contract {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.breaks == p.name }) {
			t.Errorf("no fault breaks %s", p.name)
		}
	}
}

const asChild = "STREAMERTEST_RUN_FAILS"

// TestRunFails has Run fail, in a process of its own: a test cannot take back the
// failure of its subtest.
func TestRunFails(t *testing.T) {
	f := faults[slices.IndexFunc(faults, func(f fault) bool { return f.does == "keeps 16 bits of the type" })]
	if os.Getenv(asChild) != "" {
		Run(t, func(t *testing.T) memstreamer.EventStreamer { return wrap(t.Context(), f.hooks) }, InMemory())
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRunFails$", "-test.v")
	child.Env = append(os.Environ(), asChild+"=1")
	out, err := child.CombinedOutput()
	if exit := new(exec.ExitError); !errors.As(err, &exit) {
		t.Errorf("the test of a faulty streamer ended with the error %v", err)
	}
	for _, p := range contract {
		result := "PASS"
		if p.name == f.breaks {
			result = "FAIL"
		}
		if want := fmt.Sprintf("--- %s: TestRunFails/%s ", result, p.name); !strings.Contains(string(out), want) {
			t.Errorf("there is no line %q in:\n%s", want, out)
		}
	}
}
