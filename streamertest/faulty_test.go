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

// try returns what the suite reports of a streamer with the fault.
func (f fault) try(t *testing.T, opts ...Option) *recorder {
	c, err := resolve(append(opts, InMemory()))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(contract, func(p promise) bool { return p.name == f.breaks })
	return record(func(tb testing.TB) {
		contract[i].try(tb, c, func() memstreamer.EventStreamer { return wrap(t.Context(), f.hooks) })
	})
}

func (f fault) mustBeIn(t *testing.T, report *recorder) {
	if !strings.Contains(report.String(), f.says) {
		t.Errorf("the check reports %q, and not %q", report, f.says)
	}
}

// late reports whether only a deadline that passes shows the fault.
func (f fault) late() bool {
	return slices.ContainsFunc([]string{"has not returned", "does not watch", "not done", "goroutines after", "goroutines while"},
		func(report string) bool { return strings.Contains(f.says, report) })
}

// TestFaults checks that the suite catches each fault, by the right check and for
// the right reason.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		if !f.late() {
			t.Run(f.breaks+"/"+f.does, func(t *testing.T) { f.mustBeIn(t, f.try(t)) })
		}
	}
}

// TestLateFaults does so for those that take a deadline to show, all at once.
func TestLateFaults(t *testing.T) {
	reports := make(map[string]chan *recorder)
	var tried sync.WaitGroup
	defer tried.Wait()
	for _, f := range faults {
		if f.late() {
			report := make(chan *recorder, 1)
			reports[f.breaks+"/"+f.does] = report
			tried.Go(func() { report <- f.try(t, WithDeadline(time.Second)) })
		}
	}
	for _, f := range faults {
		if report, late := reports[f.breaks+"/"+f.does]; late {
			t.Run(f.breaks+"/"+f.does, func(t *testing.T) { f.mustBeIn(t, <-report) })
		}
	}
}

// TestEveryPromiseCanFail checks that each check of the suite catches a fault.
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
