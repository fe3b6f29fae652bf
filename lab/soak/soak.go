package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
)

// streamer is what can be soaked.
type streamer interface {
	memstreamer.EventStreamer
	Close() error
	Stats() memstreamer.Stats
}

const (
	// draining is how long the receivers may take for what is left at the end.
	draining = 30 * time.Second

	// lastEvents is how many more events each topic then gets, one at a time.
	lastEvents = 10

	// patience is how long a goroutine may take to end.
	patience = 10 * time.Second
)

// soak is a run of a config.
type soak struct {
	config
	streamer streamer
	start    time.Time
	topics   []*topic

	sent, received, redelivered, old, forgotten atomic.Int64

	mu       sync.Mutex
	failures []string
}

// phases are how long receivers do what: crash and rest while wild is not done,
// and receive while all is not.
type phases struct{ wild, all context.Context }

// run soaks s, writes a verdict, and returns what went wrong. The end of ctx ends
// it early.
func run(ctx context.Context, c config, s streamer, out io.Writer) []string {
	before := goleak.IgnoreCurrent()
	k := &soak{config: c, streamer: s, start: time.Now()}
	fmt.Fprintf(out, "%d topics, %d receivers, %d events/s, retention %v, for %v, seed %d\n",
		c.topics, c.receivers, c.rate, c.retention, c.duration, c.seed)

	sendingCtx, stopSending := context.WithTimeout(ctx, c.duration)
	defer stopSending()
	ctxs := phases{}
	var stop, calm context.CancelFunc
	ctxs.all, stop = context.WithCancel(context.Background())
	defer stop()
	ctxs.wild, calm = context.WithCancel(ctxs.all)
	defer calm()

	var sending, receiving sync.WaitGroup
	for i := range c.topics {
		t := &topic{soak: k, topic: fmt.Sprintf("topic %02d", i)}
		k.topics = append(k.topics, t)
		for j := range c.receivers / c.topics {
			// The last two share a name.
			n := t.name(min(j, c.receivers/c.topics-2))
			r := &receiver{name: n, random: k.random(i, j), lags: j <= 1}
			receiving.Go(func() { r.run(ctxs) })
		}
		random := k.random(i, -1)
		sending.Go(func() { t.send(sendingCtx, random) })
	}
	heap := k.watch(sendingCtx, out)
	memory := fmt.Sprintf("its memory not judged, which takes %v", c.judging())
	if time.Since(k.start) >= c.judging() {
		memory = "its memory flat"
		if err := heap.grew(); err != nil {
			k.failf("%v", err)
		}
	}
	sending.Wait()
	calm()
	k.drain()
	stop()
	receiving.Wait()
	if err := s.Close(); err != nil {
		k.failf("Close of the streamer: %v", err)
	}
	k.checkGoroutines(before)
	fmt.Fprintf(out, "%d events sent and received %d times, %d of them redeliveries and %d past the retention period; %d names came back after it\n",
		k.sent.Load(), k.received.Load(), k.redelivered.Load(), k.old.Load(), k.forgotten.Load())
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.failures) > 0 {
		fmt.Fprintf(out, "FAILED\n  %s\n", strings.Join(k.failures, "\n  "))
	} else {
		fmt.Fprintf(out, "PASSED: nothing lost, repeated after its ack or out of order; no goroutine left; %s\n", memory)
	}
	return k.failures
}

func (k *soak) random(i, j int) *rand.Rand {
	return rand.New(rand.NewPCG(k.seed, uint64(i)<<32|uint64(uint32(j))))
}

// failf writes down a failure; the first twenty will do.
func (k *soak) failf(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.failures) < 20 {
		k.failures = append(k.failures, fmt.Sprintf(format, args...))
	}
}

// watch measures the heap every second, and prints a line every so often, until
// ctx is done. It returns how the heap went.
func (k *soak) watch(ctx context.Context, out io.Writer) *heapWatch {
	heap := &heapWatch{settling: k.settling()}
	ticker := time.NewTicker(k.measuring())
	defer ticker.Stop()
	for next := k.every; ; {
		select {
		case <-ctx.Done():
			return heap
		case <-ticker.C:
		}
		elapsed := time.Since(k.start)
		size := heap.measure(elapsed)
		if elapsed < next {
			continue
		}
		next += k.every
		retained, lag := 0, int64(0)
		stats := k.streamer.Stats()
		for _, t := range stats.Topics {
			retained += t.Retained
		}
		for _, r := range stats.Receivers {
			if r.Open > 0 {
				lag += r.Lag
			}
		}
		fmt.Fprintf(out, "%6.0fs  events %9d  redeliveries %7d  lag %6d  retained %6d  cursors %5d  heap %5.1f MB  goroutines %d\n",
			elapsed.Seconds(), k.sent.Load(), k.redelivered.Load(), lag, retained, len(stats.Receivers),
			float64(size)/1e6, runtime.NumGoroutine())
	}
}

// drain waits until all receivers are open, and then until they have got a few
// last events of their topics, each of which wakes all of them, and with these
// whatever was before.
func (k *soak) drain() {
	if late := k.await(func(n *name) bool { return n.isOpen() }); late != nil {
		late.failf("not opened again in %v", draining)
		return
	}
	for range lastEvents {
		for _, t := range k.topics {
			sender, err := k.streamer.NewSender(context.Background(), t.topic)
			if err != nil {
				k.failf("%s: NewSender: %v", t.topic, err)
				return
			}
			t.sendNext(sender, nil)
		}
		if late := k.await(func(n *name) bool { return n.lag() == 0 }); late != nil {
			late.failf("has not got its last %d events %v after the last was sent", late.lag(), draining)
			return
		}
	}
}

// await waits until done is true of all names, and returns one that took too
// long.
func (k *soak) await(done func(*name) bool) *name {
	deadline := time.Now().Add(draining)
	for _, t := range k.topics {
		for _, n := range t.names {
			for ; !done(n); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					return n
				}
			}
		}
	}
	return nil
}

// checkGoroutines finds what is left of the run. In a bubble of synctest no time
// passes while it sleeps, so that it also yields to what is about to end.
func (k *soak) checkGoroutines(before goleak.Option) {
	var err error
	for range patience / time.Second {
		runtime.Gosched()
		if err = goleak.Find(before); err == nil { // tries again for half a second
			return
		}
	}
	k.failf("goroutines are left: %v", err)
}
