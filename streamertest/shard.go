package streamertest

import (
	"fmt"

	"github.com/memstreamer/memstreamer"
)

// shards is how many share a topic in these checks.
const shards = 4

// shard returns the options of a receiver of a shard.
func shard(index int, opts ...memstreamer.ReceiverOption) []memstreamer.ReceiverOption {
	return append(opts, memstreamer.Shard(index, shards))
}

// log sends events whose shards it then knows, by a receiver of all of them.
type log struct {
	t    *trial
	s    memstreamer.EventSender
	r    memstreamer.EventReceiver
	n    int
	sent [shards][]string // foreign IDs, by shard
}

func (t *trial) log(topic string) *log {
	t.Helper()
	return &log{t: t, s: t.sender(topic), r: t.receiver(topic, "of all shards")}
}

// send sends events until each shard has n more.
func (l *log) send(n int) (sent [shards][]string) {
	l.t.Helper()
	for short := true; short; {
		foreignID := fmt.Sprint("event ", l.n)
		l.n++
		l.t.send(l.s, foreignID)
		e, ack := l.t.recv(l.r, foreignID)
		l.t.ack(ack)
		sent[e.ID%shards] = append(sent[e.ID%shards], foreignID)
		short = false
		for i := range sent {
			short = short || len(sent[i]) < n
		}
		if l.n > 1000 {
			l.t.Fatalf("of 1000 events, the remainders of the IDs by %d are %d, %d, %d and %d times 0, 1, 2 and 3: each shard has to get some", shards, len(sent[0]), len(sent[1]), len(sent[2]), len(sent[3]))
		}
	}
	for i := range sent {
		l.sent[i] = append(l.sent[i], sent[i]...)
	}
	return sent
}

// shardGetsItsEvents opens receivers of each shard before, between and after events, and
// closes some between their events.
func shardGetsItsEvents(t *trial) {
	l := t.log("orders")
	type opened struct {
		name     string
		receiver memstreamer.EventReceiver
		shard    int
		earlier  int // events of the shard that it does not get
	}
	var all []opened
	open := func(when string, opts ...memstreamer.ReceiverOption) {
		t.Helper()
		for i := range shards {
			o := opened{name: fmt.Sprint(when, i), shard: i}
			o.receiver = t.receiver("orders", o.name, shard(i, opts...)...)
			if when == "latest" {
				o.earlier = len(l.sent[i])
			}
			all = append(all, o)
		}
	}
	open("before")
	l.send(2)
	open("between")
	open("ephemeral", memstreamer.Ephemeral())
	open("latest", memstreamer.StreamFromLatest())
	l.send(2)
	open("after")
	for i, o := range all {
		want := l.sent[o.shard][o.earlier:]
		t.take(o.receiver, want[0])
		if i < shards {
			t.close("receiver", o.receiver)
			all[i].receiver = t.receiver("orders", o.name, shard(o.shard)...)
		}
		t.take(all[i].receiver, want[1:]...)
	}
	sent := l.send(1)
	for _, o := range all {
		t.take(o.receiver, sent[o.shard]...)
	}
}

// shardWakes parks a receiver of each shard, and sends.
func shardWakes(t *trial) {
	l := t.log("orders")
	var receivers []memstreamer.EventReceiver
	for i := range shards {
		receivers = append(receivers, t.receiver("orders", fmt.Sprint(i), shard(i)...))
	}
	for range 3 {
		calls := t.park(t.Context(), receivers...)
		sent := l.send(1)
		for i, c := range calls {
			_, ack := t.received(c, sent[i][0])
			t.ack(ack)
			t.take(receivers[i], sent[i][1:]...)
		}
	}
}

// shardIsShared has two receivers of a shard read at one position, and acks late.
func shardIsShared(t *trial) {
	l := t.log("orders")
	sent := l.send(3)[1]
	r, other := t.receiver("orders", "a", shard(1)...), t.receiver("orders", "a", shard(1)...)
	_, late := t.recv(r, sent[0])
	t.take(other, sent[0], sent[1])
	t.ack(late)
	t.take(r, sent[2:]...)
	calls := t.park(t.Context(), r, other)
	t.got(l.send(1)[1][0], calls...)
}

// shardStays asks for another shard than a consumer has, while it is open and after.
func shardStays(t *trial) {
	l := t.log("orders")
	receivers := []memstreamer.EventReceiver{
		t.receiver("orders", "sharded", shard(2)...), t.receiver("orders", "whole", memstreamer.Shard(0, 1)),
	}
	refused := func(name string, said []string, opts ...memstreamer.ReceiverOption) {
		t.Helper()
		err := t.refusedReceiver(t.Context(), "orders", name, opts...)
		t.is("NewReceiver", err, memstreamer.ErrShard)
		for _, word := range said {
			t.names("NewReceiver", err, word)
		}
	}
	for range 2 {
		refused("sharded", []string{"(2, 4)", "(1, 4)"}, memstreamer.Shard(1, 4))
		refused("sharded", []string{"(2, 4)", "(2, 5)"}, memstreamer.Shard(2, 5))
		refused("sharded", []string{"(2, 4)"})
		refused("whole", []string{"(2, 4)"}, shard(2)...)
		t.receiver("orders", "sharded", memstreamer.Ephemeral())
		t.receiver("orders", "whole", shard(2, memstreamer.Ephemeral())...)
		for _, r := range receivers {
			t.close("receiver", r)
		}
	}
	l.send(1)
	t.take(t.receiver("orders", "sharded", shard(2)...), l.sent[2]...)
	t.recv(t.receiver("orders", "whole"), "event 0")
}

func shardRefused(t *trial) {
	for _, shard := range [][2]int{{0, 0}, {0, -1}, {4, 4}, {5, 4}, {-1, 4}, {1, 1}} {
		opt := memstreamer.Shard(shard[0], shard[1])
		t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", opt), "Shard")
		t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", opt, memstreamer.Ephemeral()), "Shard")
	}
}
