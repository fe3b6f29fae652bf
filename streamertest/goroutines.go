package streamertest

import (
	"context"
	"fmt"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

// goroutineLabel is the profiler label that marks the goroutines of a trial with
// its id: the trial's own, and all that are started by one that has it.
const goroutineLabel = "streamertest"

// noGoroutinesLeft opens, uses and closes, and wants all of its goroutines to
// end. Over a network, what a connection keeps for the next call may stay.
func noGoroutinesLeft(t *trial) {
	use := func(name string) {
		s, r := t.sender("orders"), t.receiver("orders", name, memstreamer.StreamFromLatest())
		e := t.ephemeral("orders", name, memstreamer.StreamFromLatest())
		t.send(s, "event")
		t.take(r, "event")
		t.take(e, "event")
		t.close("ephemeral receiver", e)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		calls := []*call{t.start(ctx, r)}
		cancel()
		calls = append(calls, t.start(t.Context(), r))
		t.close("receiver", r)
		t.close("sender", s)
		for _, c := range calls {
			if err := t.returned(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	const times = 8
	use("a")
	limit, _ := t.goroutines()
	limit += times - 1
	for range times {
		use("a")
		use("b")
	}
	if t.inMemory {
		limit = 1
	}
	if t.closer != nil {
		t.close("streamer", t.closer)
	}
	t.atMost(limit, "after Close")
}

func noGoroutinesParked(t *trial) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := t.park(ctx, t.receiver("orders", "a"), t.receiver("orders", "a"), t.receiver("orders", "b"), t.ephemeral("orders", "b"))
	t.atMost(1+len(calls), "while receivers are parked")
	cancel()
	t.failed(context.Canceled, calls...)
	t.atMost(1, "after their contexts")
}

// noGoroutinesOnHotPath counts the goroutines that are started in the process.
// Others may start some meanwhile: only if it never sees less than one for each
// event are they taken for the streamer's.
func noGoroutinesOnHotPath(t *trial) {
	s, r := t.sender("orders"), t.receiver("orders", "a")
	const times, events = 5, 100
	for range times {
		before := goroutinesStarted()
		t.within("to send, receive and ack events", func() error {
			for range events {
				if err := s.Send(t.Context(), "event", 1, nil); err != nil {
					return err
				}
			}
			for range events {
				if err := takeAny(t.Context(), r); err != nil {
					return err
				}
			}
			return nil
		})
		if goroutinesStarted()-before < events {
			return
		}
	}
	t.Errorf("%d times to send, receive and ack %d events started at least as many goroutines, each time", times, events)
}

func goroutinesStarted() uint64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// atMost checks that the number of the trial's goroutines, its own one included,
// comes down to limit.
func (t *trial) atMost(limit int, when string) {
	t.Helper()
	late := time.After(t.deadline)
	for {
		n, stacks := t.goroutines()
		if n <= limit {
			return
		}
		select {
		case <-late:
			t.Fatalf("%d goroutines %s, where at most %d were expected:\n%s", n, when, limit, stacks)
		case <-time.After(time.Millisecond):
		}
	}
}

// goroutines returns how many goroutines the trial has, and their stacks.
func (t *trial) goroutines() (n int, stacks string) {
	t.Helper()
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatalf("goroutine profile: %v", err)
	}
	// After a line of its own, the profile has a paragraph for each set of
	// goroutines with the same stack and labels.
	_, paragraphs, _ := strings.Cut(profile.String(), "\n")
	label := fmt.Sprintf("%q:%q", goroutineLabel, t.id)
	for paragraph := range strings.SplitSeq(paragraphs, "\n\n") {
		if !strings.Contains(paragraph, label) {
			continue
		}
		var same int
		if _, err := fmt.Sscanf(paragraph, "%d @", &same); err != nil {
			t.Fatalf("goroutine profile: %v in %q", err, paragraph)
		}
		n += same
		stacks += paragraph + "\n\n"
	}
	if n == 0 {
		t.Fatalf("the goroutine profile does not show the goroutine that reads it:\n%s", &profile)
	}
	return n, stacks
}
