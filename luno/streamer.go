package luno

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/luno/workflow"

	"github.com/memstreamer/memstreamer"
)

// Option configures [Streamer].
type Option func(*options)

type options struct {
	lookback time.Duration
}

// AwaitLookback sets how long before an Await its run may have reached the status and
// still be found. The default is one minute. With 0, Await starts at the latest event,
// as the engine asks. Streamer panics if d is negative.
//
// An Await reads every event that its topic got in that time, of all runs.
func AwaitLookback(d time.Duration) Option {
	return func(o *options) { o.lookback = d }
}

// Streamer returns s in the engine's own types, as [memstreamer.As] does, with changes
// to the receivers of the engine's Await, and of steps with a ParallelCount. With any
// other streamer,
//
//   - Await starts at the latest event, and waits in vain for a run that has finished
//     by then;
//   - two calls of Await for one run and status share a position: the event that one
//     acks, the other misses;
//   - the position of each stays in the streamer forever;
//   - each of the n receivers of a step with ParallelCount(n) gets every event, drops
//     those of the others, and acks them.
//
// Here each of the latter gets its own events alone, by [memstreamer.Shard]. A consumer
// of that name that was made without, by memstreamer.As say, goes on without.
//
// Each receiver of Await has a position of its own, which starts [AwaitLookback] ago and
// is forgotten when Await returns. What is older than that, or than the streamer's
// retention, Await does not find: look the run up in the record store.
//
// As with any streamer, Await of a last status returns, with a nil error, when the run
// is paused or cancelled, and then returns the record as it is now. Of the lookback, a
// cancellation counts, and a pause does not. Await returns the record as it is by then:
// of a status on the way, it may be past it. Check the Status of what Await returns.
// Whether a pause came before the Await is told by time.Now: with a streamer of another
// clock, a fake one say, it may be misjudged.
//
// Streamer panics if s or an option is nil, or if an option is invalid. What it returns
// is safe for concurrent use, and needs no Close: close s, after the engine's Stop.
func Streamer(s memstreamer.EventStreamer, opts ...Option) workflow.EventStreamer {
	if isNil(s) {
		panic("memstreamer/luno: Streamer: the streamer is nil: make one with memstreamer.New")
	}
	o := options{lookback: time.Minute}
	for i, opt := range opts {
		if opt == nil {
			panic(fmt.Sprintf("memstreamer/luno: Streamer: option %d of %d is nil", i+1, len(opts)))
		}
		opt(&o)
	}
	if o.lookback < 0 {
		panic(fmt.Sprintf("memstreamer/luno: Streamer: AwaitLookback(%v): the duration must not be negative; 0 starts at the latest event", o.lookback))
	}
	return memstreamer.As[workflow.EventStreamer](streamer{s, o.lookback})
}

// isNil reports whether v is nil or holds a nil pointer.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}

// streamer is a streamer that knows the engine's receivers.
type streamer struct {
	memstreamer.EventStreamer
	lookback time.Duration
}

// awaitPrefix begins the name of each receiver of Await. Other receivers with such a
// name, of a workflow whose name is or begins with "await", do not ask for
// StreamFromLatest.
const awaitPrefix = "await-"

// NewReceiver implements [memstreamer.EventStreamer].
func (s streamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	o, err := memstreamer.ResolveReceiverOptions(opts...)
	if err != nil || !o.StreamFromLatest || !strings.HasPrefix(name, awaitPrefix) {
		return s.newReceiver(ctx, topic, name, opts)
	}
	if s.lookback == 0 {
		return s.EventStreamer.NewReceiver(ctx, topic, name, memstreamer.Ephemeral(), memstreamer.StreamFromLatest())
	}
	opened := time.Now()
	r, err := s.EventStreamer.NewReceiver(ctx, topic, name, memstreamer.Ephemeral(), memstreamer.StreamFromLast(s.lookback))
	if err != nil {
		return nil, err
	}
	return awaitReceiver{r, name, opened}, nil
}

// newReceiver opens a receiver that is not of Await, in its shard if it has one. The
// engine filters the events of a consumer that has none.
func (s streamer) newReceiver(ctx context.Context, topic, name string, opts []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if shard, count, ok := shardOf(topic, name); ok {
		r, err := s.EventStreamer.NewReceiver(ctx, topic, name, append(slices.Clip(opts), memstreamer.Shard(shard-1, count))...)
		if !errors.Is(err, memstreamer.ErrShard) {
			return r, err
		}
	}
	return s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
}

// shardOf returns which shard of how many a receiver is, counted from 1, by its name: the
// engine names those of a step after their topic, in lower case. Any other name that ends
// so is none.
func shardOf(topic, name string) (shard, count int, ok bool) {
	step := strings.ToLower(topic) + "-consumer-"
	if _, err := fmt.Sscanf(strings.TrimPrefix(name, step), "%d-of-%d", &shard, &count); err != nil {
		return 0, 0, false
	}
	return shard, count, 1 <= shard && shard <= count && name == fmt.Sprintf("%s%d-of-%d", step, shard, count)
}

// awaitReceiver passes over what the engine would drop, and over the pauses from before it
// was opened: the run may have been resumed since, and the engine would take a pause for
// the end of the run.
type awaitReceiver struct {
	memstreamer.EventReceiver
	name   string
	opened time.Time
}

var paused = strconv.Itoa(int(workflow.RunStatePaused))

// Recv implements [memstreamer.EventReceiver].
func (r awaitReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	for {
		event, ack, err := r.EventReceiver.Recv(ctx)
		if err != nil || !r.drops(event) {
			return event, ack, err
		}
		if err := ack(); err != nil {
			return nil, nil, err
		}
	}
}

func (r awaitReceiver) drops(e *memstreamer.Event) bool {
	// The engine ends the name with the foreign ID that is awaited.
	id, ok := e.Headers[memstreamer.HeaderForeignID]
	if ok && !strings.HasSuffix(r.name, strings.ReplaceAll(strings.ToLower(id), " ", "_")) {
		return true
	}
	return e.Headers[memstreamer.HeaderRunState] == paused && e.CreatedAt.Before(r.opened)
}
