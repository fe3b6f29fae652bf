package histories

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// script writes a history by hand, one call after another.
type script struct {
	h   History
	seq int64
	now time.Duration
	ids map[string]int64

	ephemeral map[int]bool // by handle
	shard     map[int]int
}

func (s *script) add(op Op) *script {
	op.Call, op.Return, op.Ephemeral = s.seq+1, s.seq+2, s.ephemeral[op.Handle]
	op.Shard = s.shard[op.Handle]
	s.seq += 2
	s.h.Ops = append(s.h.Ops, op)
	return s
}

func (s *script) last() *Op { return &s.h.Ops[len(s.h.Ops)-1] }

func (s *script) alter(f func(*Op)) *script {
	f(s.last())
	return s
}

func (s *script) open(handle int, name string) *script {
	return s.add(Op{Kind: Open, Topic: "t", Name: name, Handle: handle})
}

func (s *script) openEphemeral(handle int, name string) *script {
	s.ephemeral[handle] = true
	return s.open(handle, name)
}

func (s *script) openShard(handle int, name string, shard int) *script {
	s.shard[handle] = shard
	return s.open(handle, name)
}

func (s *script) openLast(handle int, name string, last time.Duration) *script {
	return s.open(handle, name).alter(func(op *Op) { op.Last = last })
}

func (s *script) close(handle int, name string) *script {
	return s.add(Op{Kind: Close, Topic: "t", Name: name, Handle: handle})
}

func (s *script) send(key string) *script {
	s.ids[key] = int64(len(s.ids) + 1)
	return s.add(Op{Kind: Send, Topic: "t", Handle: 100, Key: key, Type: 7, Header: key})
}

func (s *script) recv(handle int, name, key string) *script {
	return s.add(Op{Kind: Recv, Topic: "t", Name: name, Handle: handle, Key: key, In: 1 + int(s.ids[key]%shards), Event: memstreamer.Event{
		ID: s.ids[key], ForeignID: key, Type: 7, CreatedAt: epoch.Add(s.created(key)),
		Headers: map[memstreamer.Header]string{memstreamer.HeaderRunID: key},
	}})
}

func (s *script) fails(handle int, name string, err error) *script {
	return s.add(Op{Kind: Recv, Topic: "t", Name: name, Handle: handle, Err: err, Done: errors.Is(err, context.Canceled)})
}

func (s *script) ack(handle int, name, key string) *script {
	return s.add(Op{Kind: Ack, Topic: "t", Name: name, Handle: handle, Key: key})
}

func (s *script) step(d time.Duration) *script {
	s.now += d
	return s.add(Op{Kind: Step, Now: s.now}).alter(func(op *Op) { op.Return = op.Call })
}

func (s *script) shut() *script { return s.add(Op{Kind: Shut}) }

// created returns the time of the Send of key.
func (s *script) created(key string) (now time.Duration) {
	for _, op := range s.h.Ops {
		if op.Kind == Step {
			now = op.Now
		}
		if op.Kind == Send && op.Key == key {
			break
		}
	}
	return now
}

// audit has the auditor, receiver 1, receive and ack.
func (s *script) audit(keys ...string) *script {
	for _, key := range keys {
		s.recv(1, Auditor, key).ack(1, Auditor, key)
	}
	return s
}

// started is a history with two events, a and b, and receivers of two names.
func started() *script {
	s := &script{h: History{Retention: time.Hour, Audited: 1 << 30}, ids: map[string]int64{}, ephemeral: map[int]bool{}, shard: map[int]int{}}
	return s.open(1, Auditor).open(2, "x").send("a").send("b").audit("a", "b")
}

// Each rule is broken by a history that breaks it, and by no other.
func TestCheckersOnHistoriesByHand(t *testing.T) {
	type h = script
	for _, test := range []struct {
		name  string
		write func(*script)
		want  []Rule
	}{
		{"in order", func(s *h) { s.recv(2, "x", "a").recv(2, "x", "a").ack(2, "x", "a").recv(2, "x", "b") }, nil},
		{"shard in order", func(s *h) {
			s.openShard(3, "y", 2).recv(3, "y", "a").ack(3, "y", "a").send("c").audit("c").recv(3, "y", "c")
		}, nil},
		{"another shard", func(s *h) {
			s.openShard(3, "y", 1).recv(3, "y", "b").ack(3, "y", "b").send("c").audit("c").recv(3, "y", "c")
		}, []Rule{Strayed, NotLinearizable}},
		{"shard out of order", func(s *h) { s.openShard(3, "y", 2).send("c").audit("c").recv(3, "y", "c") }, []Rule{Lost, NotLinearizable}},
		{"late ack", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").recv(2, "x", "b").ack(2, "x", "b").ack(2, "x", "a").send("c").audit("c").recv(2, "x", "c")
		}, nil},
		{"resumed", func(s *h) {
			s.recv(2, "x", "a").close(2, "x").ack(2, "x", "a").step(time.Hour).open(3, "x").recv(3, "x", "b")
		}, nil},
		{"kept past the period while closed, again and again", func(s *h) {
			s.recv(2, "x", "a").close(2, "x")
			for handle := 3; handle < 9; handle++ {
				s.step(time.Hour).open(handle, "x").recv(handle, "x", "a").close(handle, "x")
			}
		}, nil},
		{"a new name past what is kept for another", func(s *h) {
			s.step(time.Hour/2).send("c").audit("c").step(time.Hour/2+1).open(3, "y").recv(3, "y", "c").recv(2, "x", "a")
		}, nil},
		{"forgotten, and its events dropped", func(s *h) {
			s.close(2, "x").step(time.Hour+1).send("c").audit("c").open(3, "x").recv(3, "x", "c")
		}, nil},
		{"forgotten by a call that began before the Close", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").close(2, "x").step(time.Hour + 1)
			closed := s.h.Ops[len(s.h.Ops)-2].Call
			s.open(3, "x").alter(func(op *Op) { op.Call = closed - 1 }).recv(3, "x", "a")
		}, nil},
		{"remembered since the first of two closes, which read a later time", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").open(3, "x").step(time.Hour).close(2, "x").step(-time.Hour).close(3, "x")
			s.step(time.Hour+1).open(4, "x").recv(4, "x", "b")
		}, nil},
		{"from latest", func(s *h) {
			s.open(3, "y").alter(func(op *Op) { op.Latest = true }).send("c").audit("c").recv(3, "y", "c")
		}, nil},
		{"from the last, of just that age", func(s *h) {
			s.step(time.Hour/4).openLast(3, "y", time.Hour/4).recv(3, "y", "a")
		}, nil},
		{"from the last, past older ones", func(s *h) {
			s.step(time.Hour/4+1).send("c").audit("c").openLast(3, "y", time.Hour/4).recv(3, "y", "c")
		}, nil},
		{"the last asked for where there was a cursor", func(s *h) {
			s.recv(2, "x", "a").close(2, "x").step(time.Hour/2).openLast(3, "x", 1).recv(3, "x", "a")
		}, nil},
		{"from the latest of the last", func(s *h) {
			s.openLast(3, "y", time.Hour).alter(func(op *Op) { op.Latest = true }).send("c").audit("c").recv(3, "y", "c")
		}, nil},
		{"ephemeral, each with its own position", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").openEphemeral(3, "x").recv(3, "x", "a").ack(3, "x", "a").recv(3, "x", "b")
			s.openEphemeral(4, "x").recv(4, "x", "a").recv(2, "x", "b")
		}, nil},
		{"ephemeral, forgotten, and acked late", func(s *h) {
			s.openEphemeral(3, "x").recv(3, "x", "a").close(3, "x").ack(3, "x", "a")
			s.openEphemeral(4, "x").recv(4, "x", "a").recv(2, "x", "a")
		}, nil},
		{"kept past the period for an ephemeral receiver", func(s *h) {
			s.openEphemeral(3, "x").step(2*time.Hour).recv(3, "x", "a")
		}, nil},
		{"shut", func(s *h) {
			s.shut().fails(2, "x", memstreamer.ErrClosed).send("c").alter(func(op *Op) { op.Err = memstreamer.ErrClosed })
		}, nil},
		{"either of two that overlap", func(s *h) {
			s.send("c").alter(func(op *Op) { op.Call -= 100 }).recv(1, Auditor, "c").ack(1, Auditor, "c")
		}, nil},

		{"lost to all", func(s *h) { s.send("c").send("d").audit("d") }, []Rule{Lost, NotLinearizable}},
		{"lost to all, the last", func(s *h) { s.send("c") }, []Rule{Lost}},
		{"lost to one", func(s *h) { s.recv(2, "x", "b") }, []Rule{Lost, NotLinearizable}},
		{"delivered after its ack", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").close(2, "x").open(3, "x").recv(3, "x", "a")
		}, []Rule{NotLinearizable, Behind}},
		{"delivered after the ack of a later one", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").recv(2, "x", "b").ack(2, "x", "b").close(2, "x").open(3, "x").recv(3, "x", "a")
		}, []Rule{NotLinearizable, Behind}},
		{"a receiver that goes back", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").recv(2, "x", "b").recv(2, "x", "a")
		}, []Rule{Behind, NotLinearizable}},
		{"IDs against the order of Sends", func(s *h) {
			s.send("c").send("d")
			s.ids["c"], s.ids["d"] = 4, 3
			s.audit("d", "c")
		}, []Rule{Disordered, NotLinearizable}},
		{"one ID twice", func(s *h) {
			s.send("c")
			s.ids["c"] = 2
			s.audit("c")
		}, []Rule{Misnumbered}},
		{"an ID past the last", func(s *h) {
			s.send("c")
			s.ids["c"] = 4
			s.audit("c")
		}, []Rule{Misnumbered}},
		{"another topic's", func(s *h) {
			s.send("c").alter(func(op *Op) { op.Topic = "u" }).audit("c")
		}, []Rule{Strayed, Lost, NotLinearizable}},
		{"never sent", func(s *h) { s.audit("z") }, []Rule{Altered, NotLinearizable}},
		{"of a Send that failed", func(s *h) {
			s.send("c").alter(func(op *Op) { op.Err, op.Done = context.Canceled, true }).audit("c")
		}, []Rule{Altered, NotLinearizable}},
		{"another type", func(s *h) { s.recv(2, "x", "a").alter(func(op *Op) { op.Event.Type++ }) }, []Rule{Altered}},
		{"another header", func(s *h) { s.recv(2, "x", "a").alter(func(op *Op) { op.Event.Headers = nil }) }, []Rule{Altered}},
		{"another time", func(s *h) {
			s.recv(2, "x", "a").alter(func(op *Op) { op.Event.CreatedAt = op.Event.CreatedAt.Add(1) })
		}, []Rule{Altered}},
		{"another ID", func(s *h) { s.recv(2, "x", "a").alter(func(op *Op) { op.Event.ID = 2 }) }, []Rule{Altered, Misnumbered}},

		{"dropped too young", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").step(time.Hour).open(3, "y").recv(3, "y", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"dropped though held", func(s *h) { s.step(time.Hour+1).recv(2, "x", "b") }, []Rule{Lost, NotLinearizable}},
		{"dropped though a closed receiver held it", func(s *h) {
			s.step(time.Hour).close(2, "x").step(time.Hour).open(3, "x").recv(3, "x", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"too old for a new name", func(s *h) {
			s.step(time.Hour+1).open(3, "y").recv(3, "y", "a")
		}, []Rule{Behind, NotLinearizable}},
		{"too old for a forgotten name", func(s *h) {
			s.close(2, "x").step(time.Hour+1).open(3, "x").recv(3, "x", "a")
		}, []Rule{Behind, NotLinearizable}},
		{"a cursor forgotten too soon", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").close(2, "x").step(time.Hour).open(3, "x").recv(3, "x", "a")
		}, []Rule{Behind, NotLinearizable}},
		{"latest past what was sent since", func(s *h) {
			s.open(3, "y").alter(func(op *Op) { op.Latest = true }).send("c").send("d").audit("c", "d").recv(3, "y", "d")
		}, []Rule{Lost, NotLinearizable}},
		{"latest where there was a cursor", func(s *h) {
			s.close(2, "x").open(3, "x").alter(func(op *Op) { op.Latest = true }).send("c").audit("c").recv(3, "x", "c")
		}, []Rule{Lost, NotLinearizable}},

		{"too old for the last", func(s *h) {
			s.step(time.Hour/4+1).openLast(3, "y", time.Hour/4).recv(3, "y", "a")
		}, []Rule{Behind, NotLinearizable}},
		{"past what is of the last", func(s *h) {
			s.step(time.Hour/4).openLast(3, "y", time.Hour/4).recv(3, "y", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"the last where there was a cursor", func(s *h) {
			s.close(2, "x").step(time.Hour/2).openLast(3, "x", 1).send("c").audit("c").recv(3, "x", "c")
		}, []Rule{Lost, NotLinearizable}},
		{"the last in place of the latest", func(s *h) {
			s.openLast(3, "y", time.Hour).alter(func(op *Op) { op.Latest = true }).recv(3, "y", "a")
		}, []Rule{Behind, NotLinearizable}},
		{"ephemeral at the position of its name", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").openEphemeral(3, "x").recv(3, "x", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"ephemeral at the position of another", func(s *h) {
			s.openEphemeral(3, "x").openEphemeral(4, "x").recv(3, "x", "a").ack(3, "x", "a").recv(4, "x", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"ephemeral, and remembered", func(s *h) {
			s.openEphemeral(3, "x").recv(3, "x", "a").ack(3, "x", "a").close(3, "x").openEphemeral(4, "x").recv(4, "x", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"an ephemeral receiver's ack for its name", func(s *h) {
			s.openEphemeral(3, "x").recv(3, "x", "a").close(3, "x").ack(3, "x", "a").recv(2, "x", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"dropped though an ephemeral receiver held it", func(s *h) {
			s.openEphemeral(3, "y").step(time.Hour+1).recv(3, "y", "b")
		}, []Rule{Lost, NotLinearizable}},
		{"ephemeral, and waited for what its name had acked", func(s *h) {
			s.openEphemeral(3, Auditor).alter(func(op *Op) { op.Latest = true }).send("c").audit("c")
			s.fails(3, Auditor, context.Canceled).alter(func(op *Op) { op.Waited = true })
		}, []Rule{Stalled}},

		{"waited in vain", func(s *h) {
			s.fails(2, "x", context.Canceled).alter(func(op *Op) { op.Waited = true })
		}, []Rule{Stalled}},
		{"waited though closed", func(s *h) {
			s.close(1, Auditor).fails(1, Auditor, context.Canceled).alter(func(op *Op) { op.Waited = true })
		}, []Rule{Stalled}},
		{"waited with nothing there", func(s *h) {
			s.fails(1, Auditor, context.Canceled).alter(func(op *Op) { op.Waited = true })
		}, nil},

		{"woken for nothing", func(s *h) {
			s.fails(2, "x", context.Canceled).alter(func(op *Op) { op.Done = false })
		}, []Rule{Misreported, NotLinearizable}},
		{"closed though open", func(s *h) { s.fails(2, "x", memstreamer.ErrClosed) }, []Rule{Misreported, NotLinearizable}},
		{"received when closed", func(s *h) { s.close(2, "x").recv(2, "x", "a") }, []Rule{Misreported, NotLinearizable}},
		{"received when shut", func(s *h) { s.shut().recv(2, "x", "a") }, []Rule{Misreported, NotLinearizable}},
		{"sent when shut", func(s *h) { s.audit().shut().send("c").alter(func(op *Op) { op.Key = "c" }); s.h.Audited = 0 }, []Rule{Misreported, NotLinearizable}},
		{"opened when shut", func(s *h) { s.shut().open(3, "y") }, []Rule{Misreported, NotLinearizable}},
		{"received in a context that was done", func(s *h) {
			s.recv(2, "x", "a").alter(func(op *Op) { op.DoneBefore = true })
		}, []Rule{Misreported}},
		{"closed before its context", func(s *h) {
			s.close(2, "x").fails(2, "x", memstreamer.ErrClosed).alter(func(op *Op) { op.DoneBefore = true })
		}, []Rule{Misreported}},
		{"sent on a closed sender", func(s *h) {
			s.add(Op{Kind: CloseSender, Topic: "t", Handle: 100}).send("c").audit("c")
		}, []Rule{Misreported}},
		{"an ack that fails", func(s *h) {
			s.recv(2, "x", "a").ack(2, "x", "a").alter(func(op *Op) { op.Err = memstreamer.ErrClosed })
		}, []Rule{Misreported}},
		{"another error", func(s *h) { s.fails(2, "x", errors.New("other")).alter(func(op *Op) { op.Done = true }) }, []Rule{Misreported}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := started()
			test.write(s)
			slices.SortFunc(s.h.Ops, func(a, b Op) int { return int(a.Call - b.Call) })
			broken := map[Rule]string{}
			for _, v := range check(&s.h) {
				broken[v.Rule] = v.Detail
			}
			require.ElementsMatch(t, test.want, slices.Collect(maps.Keys(broken)), "%v", broken)
		})
	}
}

// What cannot be decided in time is not taken for right.
func TestUndecidedIsAViolation(t *testing.T) {
	s := started()
	require.Empty(t, CheckLinearizable(&s.h, searching))
	violations := CheckLinearizable(&s.h, 1)
	require.NotEmpty(t, violations)
	require.Contains(t, violations[0].Detail, "not enough")
}
