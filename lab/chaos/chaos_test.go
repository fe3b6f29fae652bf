package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

var chaosTime = flag.Duration("chaos", 4*time.Second, "how long each part of TestChaos goes on")

// TestChaos has two processes send and receive on the same names while servers
// and connections fail. No event is lost, none comes after the confirmation of
// its ack, all come in order, and nothing stalls.
func TestChaos(t *testing.T) {
	t.Run("cluster", func(t *testing.T) {
		// The leaders step down and connections are cut.
		url := startCluster(t)
		w := newWorkload(t, func() natsjs.JetStream { return connect(t, url) }, jetstream.WithReplicas(3))
		w.disturb(t, 300*time.Millisecond, w.cut)
		w.disturb(t, 50*time.Millisecond, func(ctx context.Context) (string, error) {
			consumer := fmt.Sprintf("CONSUMER.LEADER.STEPDOWN.%s.topic-%d@name", streamName, rand.IntN(len(w.topics)))
			return "stepdown", request(ctx, w.operator, consumer)
		})
		w.disturb(t, time.Second, func(ctx context.Context) (string, error) {
			return "stepdown of the stream", request(ctx, w.operator, "STREAM.LEADER.STEPDOWN."+streamName)
		})
		w.run(t)
	})
	t.Run("kill", func(t *testing.T) {
		// The server is killed as by kill -9, and started again.
		srv := startChild(t)
		w := newWorkload(t, func() natsjs.JetStream { return connectPatiently(t, srv.url()) }, jetstream.WithExactAcks())
		w.disturb(t, 300*time.Millisecond, w.cut)
		w.disturb(t, time.Second, func(ctx context.Context) (string, error) {
			if err := srv.kill(); err != nil {
				return "", err
			}
			sleep(ctx, time.Duration(rand.IntN(500))*time.Millisecond)
			return "kill", srv.start()
		})
		w.run(t)
	})
	t.Run("anew", func(t *testing.T) {
		// The stream goes with its server's memory, after each of its events was
		// acked, and is made anew.
		srv := startChild(t)
		inMemory := jetstream.WithStorage(natsjs.MemoryStorage)
		w := newWorkload(t, func() natsjs.JetStream { return connectPatiently(t, srv.url()) }, inMemory)
		w.work(t, func() error {
			for ends := time.Now().Add(*chaosTime); time.Now().Before(ends); {
				if err := w.sendAll(t.Context(), 20); err != nil {
					return err
				}
				if err := w.drain(); err != nil {
					return err
				}
				if err := errors.Join(srv.stop(), srv.start()); err != nil {
					return err
				}
				for _, tr := range w.topics {
					tr.anew()
				}
				again, err := jetstream.New(t.Context(), w.operator, inMemory)
				if err != nil {
					return err
				}
				w.count("stream made anew")
				_ = again.Close()
			}
			return nil
		})
	})
}

// workload is two processes that send to some topics and share a receiver's name on
// each.
type workload struct {
	operator  natsjs.JetStream
	conns     []natsjs.JetStream
	processes []*jetstream.Streamer
	topics    []*traffic
	faults    []func(context.Context) error

	mu     sync.Mutex
	counts map[string]int
}

func newWorkload(t *testing.T, connect func() natsjs.JetStream, opts ...jetstream.Option) *workload {
	t.Helper()
	w := &workload{operator: connect(), counts: make(map[string]int)}
	for range 2 {
		js := connect()
		w.conns = append(w.conns, js)
		w.processes = append(w.processes, newStreamer(t, js, opts...))
	}
	for range 4 {
		w.topics = append(w.topics, &traffic{})
	}
	return w
}

func (w *workload) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// disturb has f called about every so often during run.
func (w *workload) disturb(t *testing.T, every time.Duration, f func(context.Context) (what string, err error)) {
	w.faults = append(w.faults, func(ctx context.Context) error {
		for {
			sleep(ctx, every/2+rand.N(every))
			if ctx.Err() != nil {
				return nil
			}
			what, err := f(ctx)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			w.count(what)
		}
	})
}

// cut breaks the connection of one process.
func (w *workload) cut(context.Context) (string, error) {
	return "cut", w.conns[rand.IntN(len(w.conns))].Conn().ForceReconnect()
}

// run sends under faults for the time of the flag, and then has no more of them.
func (w *workload) run(t *testing.T) {
	t.Helper()
	w.work(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), *chaosTime)
		defer cancel()
		var faults errgroup.Group
		for _, fault := range w.faults {
			// Each ends what it began: a server that it killed is started again.
			faults.Go(func() error { return fault(ctx) })
		}
		var err error
		for err == nil && ctx.Err() == nil {
			err = w.sendAll(t.Context(), 50)
		}
		return errors.Join(err, faults.Wait())
	})
}

// work has receivers at work until send has returned and all of what it sent is
// received and acked. Then it says what was found.
func (w *workload) work(t *testing.T, send func() error) {
	t.Helper()
	stop := w.startReceivers(t)
	done := async(func() error { return errors.Join(send(), w.drain()) })
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	for {
		select {
		case <-progress.C:
			t.Log(w)
			continue
		case err := <-done:
			assert.NoError(t, err)
		}
		break
	}
	require.NoError(t, stop())
	t.Log(w)
	v := w.verdict()
	assert.Zero(t, v.lost, "lost")
	assert.Zero(t, v.repeated, "repeated after their ack")
	assert.Zero(t, v.reordered, "out of order")
	assert.Less(t, v.stall, soonest, "the longest stall")
	assert.NotZero(t, v.received)
}

// startReceivers has both processes receive from all topics. The function that it
// returns ends that, and returns the first error.
func (w *workload) startReceivers(t *testing.T) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var receivers errgroup.Group
	for topic := range w.topics {
		for _, s := range w.processes {
			receivers.Go(func() error { return w.receive(ctx, s, topic) })
		}
	}
	return func() error {
		cancel()
		return receivers.Wait()
	}
}

// drain waits until all that was sent is received and acked.
func (w *workload) drain() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if w.done() {
			return nil
		}
	}
	return fmt.Errorf("some events were not received within %v", patience)
}

func (w *workload) done() bool {
	for _, tr := range w.topics {
		if !tr.done() {
			return false
		}
	}
	return true
}

// sendAll sends so many events to each topic.
func (w *workload) sendAll(ctx context.Context, events int) error {
	var senders errgroup.Group
	for topic, tr := range w.topics {
		senders.Go(func() error {
			snd, err := w.processes[topic%len(w.processes)].NewSender(ctx, topicName(topic))
			if err != nil {
				return err
			}
			for range events {
				if err := snd.Send(ctx, tr.next(), 1, nil); err != nil {
					return err
				}
				tr.sends()
			}
			return snd.Close()
		})
	}
	return senders.Wait()
}

func topicName(topic int) string { return fmt.Sprint("topic-", topic) }

// receive opens receivers one after another, as an engine does that fails, and
// receives some events with each.
func (w *workload) receive(ctx context.Context, s *jetstream.Streamer, topic int) error {
	for ctx.Err() == nil {
		r, err := s.NewReceiver(ctx, topicName(topic), "name")
		if err != nil {
			w.count("NewReceiver failed")
			sleep(ctx, 10*time.Millisecond)
			continue
		}
		w.receiveSome(ctx, r, w.topics[topic])
		w.count("receiver")
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// receiveSome receives until it has had enough, or something fails.
func (w *workload) receiveSome(ctx context.Context, r memstreamer.EventReceiver, tr *traffic) {
	for range 1 + rand.IntN(50) {
		brief, cancel := context.WithTimeout(ctx, rand.N(2*time.Second))
		call := tr.receiving()
		e, ack, err := r.Recv(brief)
		cancel()
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				w.count("Recv failed")
			}
			return
		}
		call.receives(e)
		if rand.IntN(20) == 0 {
			return // with the event un-acked, as a step does that fails
		}
		if err := ack(); err != nil {
			w.count("Ack failed")
			return
		}
		call.acks(e)
	}
}

func (w *workload) verdict() (all verdict) {
	for _, tr := range w.topics {
		all.add(tr.end())
	}
	return all
}

func (w *workload) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%v; %v", w.verdict(), w.counts)
}

// request asks the API of JetStream, which may not answer in time.
func request(ctx context.Context, js natsjs.JetStream, what string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := js.Conn().RequestWithContext(ctx, "$JS.API."+what, nil)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
