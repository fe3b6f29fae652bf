package memstreamer_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
)

// described is a streamer that says what it holds.
type described interface {
	memstreamer.EventStreamer
	Stats() memstreamer.Stats
	Forget(ctx context.Context, topic, name string) error
	Close() error
}

// both are something of the streamer under test, and that of the reference.
type both[E any] [2]E

// driver lets a program, each byte a choice, make the same calls on a streamer and on
// the reference, and fails where they differ. After each step it checks the streamer's
// own books, and compares all that Stats tells.
type driver struct {
	require.TestingT
	ctx     context.Context // of all calls
	program []byte
	// lazy compares Stats at times only: Stats drops what has expired, and the other
	// calls have to do without.
	lazy      bool
	period    time.Duration // 0: without retention
	clock     *steppedClock
	streamers both[described]
	sent      int // events of an ID of their own

	senders   []both[memstreamer.EventSender]
	receivers []both[memstreamer.EventReceiver]
	parked    []*parkedRecv
	acks      []both[memstreamer.Ack]
}

// received is what a Recv returned.
type received struct {
	event *memstreamer.Event
	ack   memstreamer.Ack
	err   error
}

// parkedRecv is a Recv that may go on through many steps.
type parkedRecv struct {
	cancel   context.CancelFunc
	returned both[*received] // nil until then
}

const modelPeriod = 10 * time.Second

var (
	modelTopics = []string{"a", "b", "c"}
	modelNames  = []string{"x", "y"}
)

// runModel runs a program in a bubble, which shows when a Recv is parked.
func runModel(t require.TestingT, program []byte, newStreamer func(memstreamer.Clock, time.Duration) described) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d := &driver{TestingT: t, ctx: ctx, program: program, clock: newSteppedClock()}
	if d.choose(4) > 0 {
		d.period = modelPeriod
	}
	d.lazy = d.choose(2) > 0
	d.streamers = both[described]{newStreamer(d.clock, d.period), reference.New(nil, d.clock, d.period)}
	steps := []func(){
		d.openSender, d.send, d.send, d.sendMany, d.closeSender,
		d.openReceiver, d.receive, d.receive, d.receiveMany, d.ack, d.ack, d.closeReceiver,
		d.forget, d.wait, d.compare, d.park, d.cancelRecv,
	}
	for len(d.program) > 0 {
		steps[d.choose(len(steps))]()
		d.look()
	}
	d.close()
}

func (d *driver) choose(n int) int {
	if len(d.program) == 0 {
		return 0
	}
	choice := int(d.program[0]) % n
	d.program = d.program[1:]
	return choice
}

// pick chooses one of s, the newest first.
func pick[T any](d *driver, s []T) (i int, ok bool) {
	if len(s) == 0 {
		return 0, false
	}
	return len(s) - 1 - d.choose(min(len(s), 5)), true
}

// try makes one call on each, which have to fail alike, or both to succeed.
func try[E any](d *driver, of both[E], call func(i int, on E) error) error {
	var errs both[error]
	for i, on := range of {
		errs[i] = kind(call(i, on))
	}
	require.Equal(d, errs[1], errs[0])
	return errs[0]
}

// kind returns what the contract says of an error: not its text.
func kind(err error) error {
	for _, known := range []error{nil, memstreamer.ErrClosed, memstreamer.ErrShard, context.Canceled} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New("an error of no kind")
}

// look looks at what a step has done.
func (d *driver) look() {
	d.collect()
	if !d.lazy {
		d.compare()
	}
	if s, ok := d.streamers[0].(*memstreamer.StreamConstructor); ok {
		require.NoError(d, s.CheckInvariants())
	}
}

func (d *driver) compare() {
	var stats both[memstreamer.Stats]
	for i, s := range d.streamers {
		stats[i] = s.Stats()
		if d.lazy {
			// A topic that is used again before it was found expired lives on.
			for j := range stats[i].Topics {
				stats[i].Topics[j].Sent = 0
			}
		}
		rows := stats[i].Receivers
		require.True(d, slices.IsSortedFunc(rows, byName), "%+v", rows)
		// Those of ephemeral receivers of one name are in no order.
		slices.SortFunc(rows, func(a, b memstreamer.ReceiverStats) int {
			if order := byName(a, b); order != 0 {
				return order
			}
			return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
		})
	}
	require.Equal(d, stats[1], stats[0])
}

func byName(a, b memstreamer.ReceiverStats) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
}

func (d *driver) openSender() {
	topic := modelTopics[d.choose(3)]
	var opened both[memstreamer.EventSender]
	require.NoError(d, try(d, d.streamers, func(i int, s described) (err error) {
		opened[i], err = s.NewSender(d.ctx, topic)
		return err
	}))
	d.senders = append(d.senders, opened)
}

func (d *driver) closeSender() {
	if i, ok := pick(d, d.senders); ok {
		for range 2 {
			_ = try(d, d.senders[i], func(_ int, s memstreamer.EventSender) error { return s.Close() })
		}
		require.ErrorIs(d, d.sendBy(d.senders[i], "", 1, nil), memstreamer.ErrClosed)
		d.senders = slices.Delete(d.senders, i, i+1)
	}
}

func (d *driver) send() {
	i, ok := pick(d, d.senders)
	if !ok {
		return
	}
	headers := []map[memstreamer.Header]string{
		nil, {}, {"": "", "k": "\x00é\n"}, {memstreamer.HeaderRunID: "run", memstreamer.HeaderTopic: ""},
		{memstreamer.HeaderTopic: modelTopics[d.choose(3)]},
	}[d.choose(5)]
	d.sent++
	require.NoError(d, d.sendBy(d.senders[i], fmt.Sprint("f", d.sent), d.choose(256)-128, headers))
}

func (d *driver) sendBy(s both[memstreamer.EventSender], foreignID string, statusType int, headers map[memstreamer.Header]string) error {
	return try(d, s, func(_ int, s memstreamer.EventSender) error {
		own := maps.Clone(headers)
		defer clear(own)
		return s.Send(d.ctx, foreignID, statusType, own)
	})
}

// sendMany crosses segments and chunks.
func (d *driver) sendMany() {
	if i, ok := pick(d, d.senders); ok {
		for range d.choose(2 * memstreamer.SegmentSize) {
			require.NoError(d, d.sendBy(d.senders[i], "", 0, nil))
		}
	}
}

// openReceiver opens a receiver, a quarter of the time without options.
func (d *driver) openReceiver() {
	topic, name := modelTopics[d.choose(3)], modelNames[d.choose(2)]
	var opts []memstreamer.ReceiverOption
	if choice := d.choose(16); choice < 8 {
		if choice&1 > 0 {
			opts = append(opts, memstreamer.StreamFromLatest())
		}
		if choice&2 > 0 {
			last := []time.Duration{1, time.Second, modelPeriod - time.Second, modelPeriod, modelPeriod + 1, 3 * modelPeriod, 0, -1}
			opts = append(opts, memstreamer.StreamFromLast(last[d.choose(len(last))]))
		}
		if choice&4 > 0 {
			opts = append(opts, memstreamer.Ephemeral())
		}
	} else if choice < 12 {
		index, count := d.choose(4), d.choose(5)
		opts = append(opts, memstreamer.Shard(index-count/4, count))
		if choice&1 > 0 {
			opts = append(opts, memstreamer.StreamFromLatest())
		}
		if choice&2 > 0 {
			opts = append(opts, memstreamer.Ephemeral())
		}
	}
	var r both[memstreamer.EventReceiver]
	if try(d, d.streamers, func(i int, s described) (err error) {
		r[i], err = s.NewReceiver(d.ctx, topic, name, opts...)
		return err
	}) == nil {
		d.receivers = append(d.receivers, r)
	}
}

func (d *driver) closeReceiver() {
	if i, ok := pick(d, d.receivers); ok {
		r := d.receivers[i]
		for range 2 {
			_ = try(d, r, func(_ int, r memstreamer.EventReceiver) error { return r.Close() })
		}
		require.ErrorIs(d, d.recv(r), memstreamer.ErrClosed)
		d.receivers = slices.Delete(d.receivers, i, i+1)
	}
}

func (d *driver) receive() {
	if i, ok := pick(d, d.receivers); ok {
		_ = d.recv(d.receivers[i])
	}
}

// receiveMany acks what it receives.
func (d *driver) receiveMany() {
	if i, ok := pick(d, d.receivers); ok {
		for range d.choose(2 * memstreamer.SegmentSize) {
			if d.recv(d.receivers[i]) != nil {
				break
			}
			d.ackOf(len(d.acks) - 1)
		}
	}
}

// recv receives the event that is due, if there is one.
func (d *driver) recv(r both[memstreamer.EventReceiver]) error {
	p := d.start(r)
	synctest.Wait() // until each has returned, or is parked
	p.cancel()
	synctest.Wait()
	require.NotContains(d, p.returned[:], (*received)(nil), "has Recv returned?")
	return d.same(both[received]{*p.returned[0], *p.returned[1]})
}

// start has both receive, each in a goroutine of its own.
func (d *driver) start(r both[memstreamer.EventReceiver]) *parkedRecv {
	ctx, cancel := context.WithCancel(d.ctx)
	p := &parkedRecv{cancel: cancel}
	for i, r := range r {
		go func() {
			var got received
			got.event, got.ack, got.err = r.Recv(ctx)
			p.returned[i] = &got
		}()
	}
	return p
}

// same compares what two calls of Recv returned.
func (d *driver) same(got both[received]) error {
	require.Equal(d, kind(got[1].err), kind(got[0].err))
	if got[0].err == nil {
		require.Equal(d, *got[1].event, *got[0].event)
		d.acks = append(d.acks, both[memstreamer.Ack]{got[0].ack, got[1].ack})
		for _, g := range got {
			clear(g.event.Headers)
		}
	}
	return got[0].err
}

// park has a Recv wait, if there is nothing to return, through the steps that follow.
func (d *driver) park() {
	i, ok := pick(d, d.receivers)
	if !ok {
		return
	}
	d.parked = append(d.parked, d.start(d.receivers[i]))
}

func (d *driver) cancelRecv() {
	if i, ok := pick(d, d.parked); ok {
		d.parked[i].cancel()
	}
}

// collect compares which of the parked calls have returned, and what.
func (d *driver) collect() {
	if len(d.parked) == 0 {
		return
	}
	synctest.Wait()
	d.parked = slices.DeleteFunc(d.parked, func(p *parkedRecv) bool {
		got, want := p.returned[0], p.returned[1]
		require.Equal(d, want != nil, got != nil, "has Recv returned?")
		if got != nil {
			p.cancel()
			_ = d.same(both[received]{*got, *want})
		}
		return got != nil
	})
}

// ack acks any delivery, mostly one of the last, and any number of times.
func (d *driver) ack() {
	if i, ok := pick(d, d.acks); ok {
		if d.choose(8) == 0 {
			i = d.choose(len(d.acks))
		}
		d.ackOf(i)
	}
}

func (d *driver) ackOf(i int) {
	require.NoError(d, try(d, d.acks[i], func(_ int, ack memstreamer.Ack) error { return ack() }))
}

func (d *driver) forget() {
	topic, name := modelTopics[d.choose(3)], modelNames[d.choose(2)]
	_ = try(d, d.streamers, func(_ int, s described) error { return s.Forget(d.ctx, topic, name) })
}

// wait moves the clock, at times by just the period, and at times back: not if
// what has expired by then may be found later.
func (d *driver) wait() {
	steps := []time.Duration{1, time.Second, modelPeriod - time.Second, modelPeriod, modelPeriod + 1, -time.Second, -3 * modelPeriod}
	if d.lazy {
		steps = steps[:5]
	}
	d.clock.Step(steps[d.choose(len(steps))])
}

// close closes the streamers, which ends all but acks.
func (d *driver) close() {
	d.compare()
	_ = try(d, d.streamers, func(_ int, s described) error { return s.Close() })
	d.collect()
	require.Empty(d, d.parked)
	for _, s := range d.senders {
		require.ErrorIs(d, d.sendBy(s, "", 0, nil), memstreamer.ErrClosed)
	}
	for _, r := range d.receivers {
		require.ErrorIs(d, d.recv(r), memstreamer.ErrClosed)
	}
	if len(d.acks) > 0 {
		d.ackOf(len(d.acks) - 1)
	}
	d.look()
}

func newModelled(clock memstreamer.Clock, period time.Duration) described {
	return memstreamer.New(memstreamer.WithClock(clock), memstreamer.WithRetention(period))
}

// randomProgram returns the program of a seed.
func randomProgram(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	program := make([]byte, 600)
	for i := range program {
		program[i] = byte(random.Uint32())
	}
	return program
}

func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runModel(t, randomProgram(seed), newModelled) })
		}) {
			return
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) { runModel(t, program, newModelled) })
	})
}

// failing is a test that may fail.
type failing struct{ failures strings.Builder }

func (f *failing) Errorf(format string, args ...any) { fmt.Fprintf(&f.failures, format, args...) }
func (f *failing) FailNow()                          { runtime.Goexit() }

// TestModelFindsEachFault runs the programs of TestModel on the reference with a fault.
func TestModelFindsEachFault(t *testing.T) {
	for _, fault := range slices.Concat(reference.Subtle(), reference.Shards(), reference.Books()) {
		t.Run(fault.Does, func(t *testing.T) {
			var f failing
			for seed := uint64(0); seed < 200 && f.failures.Len() == 0; seed++ {
				synctest.Test(t, func(*testing.T) {
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						runModel(&f, randomProgram(seed), func(clock memstreamer.Clock, period time.Duration) described {
							return reference.New(fault, clock, period)
						})
					}()
					<-ended
				})
			}
			require.NotZero(t, f.failures.Len(), "it has shown %d times", fault.Shown())
		})
	}
}
