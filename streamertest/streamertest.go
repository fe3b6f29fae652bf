// Package streamertest puts an implementation of memstreamer's contract to the
// test.
//
//	func TestContract(t *testing.T) {
//		streamertest.Run(t, func(t *testing.T) memstreamer.EventStreamer {
//			return memstreamer.New()
//		}, streamertest.InMemory())
//	}
//
// Each line of the contract has one subtest or a few, and an implementation that
// breaks the line fails there. Expected events are awaited up to a deadline.
// Unexpected ones show by order: an event that must not be there would come before
// one that is sent later. That a Recv with nothing to return waits can only be
// watched, for a quiet time. Both times are options, so that the suite is fast in
// memory and fair over a network. Ages of events are judged by their CreatedAt: the
// streamer's clock may tell any time, but it has to run. Nothing is restarted: what a
// crash may take back, such as acks that a durable streamer was told to write later, is
// for its own tests.
package streamertest

import (
	"context"
	"crypto/rand"
	"runtime/pprof"
	"testing"

	"github.com/memstreamer/memstreamer"
)

// Run runs the suite on what newStreamer returns: a subtest for each promise of
// the contract, one after another.
//
// newStreamer is called once for each subtest, with that subtest's t, and returns
// a streamer for it alone. Unless [InMemory] is given, these streamers may share a
// server and its log: each subtest has topics of its own. Where a streamer has a
// Close method that returns an error, Run tests that too, and closes the streamer
// when the subtest ends. Anything else to be released belongs in t.Cleanup. A
// promise that the streamer cannot be asked for is skipped.
//
// An option that is nil or was given a bad value fails t.
func Run(t *testing.T, newStreamer func(t *testing.T) memstreamer.EventStreamer, opts ...Option) {
	t.Helper()
	if newStreamer == nil {
		t.Fatal("streamertest: Run: newStreamer is nil")
	}
	c, err := resolve(opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range contract {
		t.Run(p.name, func(t *testing.T) {
			p.try(t, c, func() memstreamer.EventStreamer { return newStreamer(t) })
		})
	}
}

// promise is one thing that the contract promises, and the check of it.
type promise struct {
	name  string
	check func(*trial)
	needs need
}

// need is what a promise asks of the implementation, beyond the interface.
type need int

const (
	nothing  need = iota
	closing       // a Close of the streamer
	inMemory      // InMemory
)

// try checks p. It takes a testing.TB, and makes no subtests, so that a test of
// the suite can watch a check fail.
func (p promise) try(tb testing.TB, c config, newStreamer func() memstreamer.EventStreamer) {
	if p.needs == inMemory && !c.inMemory {
		tb.Skip("promised in memory alone: see InMemory")
	}
	t := &trial{TB: tb, config: c, id: rand.Text()[:8]}
	// Goroutines inherit labels, so that those of this streamer can be told from
	// any others in the process.
	pprof.Do(tb.Context(), pprof.Labels(goroutineLabel, t.id), func(ctx context.Context) {
		t.open(newStreamer)
		if p.needs == closing && t.closer == nil {
			tb.Skip("the streamer has no Close")
		}
		p.check(t)
	})
}

// contract lists the promises in the order of the contract's lines.
var contract = []promise{
	// 1. Order.
	{name: "Order", check: order},
	{name: "VisibleWhenSendReturns", check: visibleWhenSendReturns},
	{name: "RecvWaits", check: recvWaits},
	{name: "EventIsWhatWasSent", check: eventIsWhatWasSent},
	{name: "CreatedAtIsLocal", check: createdAtIsLocal},
	{name: "IDsWithoutGaps", check: idsWithoutGaps, needs: inMemory},
	{name: "WakesAtOnce", check: wakesAtOnce, needs: inMemory},

	// 2. At least once.
	{name: "AtLeastOnce", check: atLeastOnce},
	{name: "UnackedGoesToNextReceiver", check: unackedGoesToNextReceiver},
	{name: "FailingStep", check: failingStep},
	{name: "CancelledRecvLosesNothing", check: cancelledRecvLosesNothing},

	// 3. Acks.
	{name: "AckCommits", check: ackCommits},
	{name: "AckIsIdempotent", check: ackIsIdempotent},
	{name: "AckFromAnyGoroutine", check: ackFromAnyGoroutine},
	{name: "AckAfterContext", check: ackAfterContext},
	{name: "AckAfterClose", check: ackAfterClose},
	{name: "LateAckChangesNothing", check: lateAckChangesNothing},

	// 4. Positions.
	{name: "CursorPerTopicAndName", check: cursorPerTopicAndName},
	{name: "CursorSurvivesClose", check: cursorSurvivesClose},
	{name: "SharedCursor", check: sharedCursor},
	{name: "EphemeralHasItsOwnPosition", check: ephemeralHasItsOwnPosition},
	{name: "EphemeralIsForgotten", check: ephemeralIsForgotten},
	{name: "EphemeralHoldsEvents", check: ephemeralHoldsEvents},
	{name: "EphemeralLateAck", check: ephemeralLateAck},

	// 5. A new consumer.
	{name: "StreamFromLatestSkipsOlder", check: streamFromLatestSkipsOlder},
	{name: "StreamFromLatestPins", check: streamFromLatestPins},
	{name: "StreamFromLatestOnEmptyTopic", check: streamFromLatestOnEmptyTopic},
	{name: "StreamFromLatestResumes", check: streamFromLatestResumes},
	{name: "StreamFromLastStarts", check: streamFromLastStarts},
	{name: "StreamFromLastOnIdleTopic", check: streamFromLastOnIdleTopic},
	{name: "StreamFromLastResumes", check: streamFromLastResumes},
	{name: "StreamFromLastWithLatest", check: streamFromLastWithLatest},
	{name: "StreamFromLastRefused", check: streamFromLastRefused},

	// 6. Shards.
	{name: "ShardGetsItsEvents", check: shardGetsItsEvents},
	{name: "ShardWakes", check: shardWakes},
	{name: "ShardIsShared", check: shardIsShared},
	{name: "ShardStays", check: shardStays},
	{name: "ShardRefused", check: shardRefused},

	// 7. Topics.
	{name: "TopicHeader", check: topicHeader},
	{name: "TopicHeaderWakes", check: topicHeaderWakes},
	{name: "AwkwardNames", check: awkwardNames},

	// 8. Isolation.
	{name: "IsolationOfSentHeaders", check: isolationOfSentHeaders},
	{name: "IsolationOfReceivedEvents", check: isolationOfReceivedEvents},
	{name: "HeadersKept", check: headersKept},

	// 9. Contexts.
	{name: "ContextFirst", check: contextFirst},
	{name: "CancelWakesRecv", check: cancelWakesRecv},
	{name: "CancelWakesNoOther", check: cancelWakesNoOther},
	{name: "ForeignContexts", check: foreignContexts},

	// 10. Close.
	{name: "CloseIsIdempotent", check: closeIsIdempotent},
	{name: "ClosedReceiver", check: closedReceiver},
	{name: "ClosedSender", check: closedSender},
	{name: "ClosedSaysWhat", check: closedSaysWhat},
	{name: "ClosedWakesRecv", check: closedWakesRecv},
	{name: "ClosedStreamer", check: closedStreamer, needs: closing},
	{name: "ClosedStreamerWakesRecv", check: closedStreamerWakesRecv, needs: closing},

	// 11. Refusals.
	{name: "RefusesEmpty", check: refusesEmpty},

	// 12. Goroutines.
	{name: "NoGoroutinesLeft", check: noGoroutinesLeft},
	{name: "NoGoroutinesParked", check: noGoroutinesParked, needs: inMemory},
	{name: "NoGoroutinesOnHotPath", check: noGoroutinesOnHotPath, needs: inMemory},

	// All of it at once.
	{name: "Stress", check: stress},
}
