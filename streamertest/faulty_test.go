package streamertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/reference"
)

// fault is a way to break a promise.
type fault struct {
	breaks string // the promise
	does   string // what package reference has a streamer do wrong
	says   string // part of what the check reports
}

// faults are in the order of the contract.
var faults = []fault{
	// 1. Order.
	{"Order", "swaps the IDs of neighbours", "after one sent earlier with ID"},
	{"Order", "loses an event", `not event "event 12"`},
	{"Order", "swaps neighbours", `not event "event 12"`},
	{"Order", "mixes topics", `event "event 0", not event "event 1"`},
	{"VisibleWhenSendReturns", "appends a moment later", `Recv returned event "before`},
	{"RecvWaits", "returns nothing where there is nothing", "no event and no error"},
	{"RecvWaits", "does not wake on Send", "has not returned"},
	{"RecvWaits", "wakes one receiver for each Send", "has not returned"},
	{"EventIsWhatWasSent", "keeps 16 bits of the type", "has type"},
	{"EventIsWhatWasSent", "ends the foreign ID at a NUL", "not event"},
	{"EventIsWhatWasSent", "stamps no time", "has no CreatedAt"},
	{"EventIsWhatWasSent", "stamps the time of the delivery", "was delivered with"},
	{"CreatedAtIsLocal", "returns CreatedAt in UTC", "+0000 UTC, and not"},
	{"IDsWithoutGaps", "counts by two", "has ID 2"},
	{"IDsWithoutGaps", "counts each topic for itself", "has ID 1"},
	{"IDsWithoutGaps", "takes an ID for a Send that it refuses", "has ID 4"},
	{"WakesAtOnce", "polls", "hand-offs: not done"},

	// 2. At least once.
	{"AtLeastOnce", "acks what it delivers", `not event "first"`},
	{"AtLeastOnce", "acks an event when the next is asked for", `not event "first"`},
	{"AtLeastOnce", "delivers one *Event again", "not a fresh copy"},
	{"UnackedGoesToNextReceiver", "acks on Close", `not event "first"`},
	{"FailingStep", "gives up after ten deliveries", `not event "first"`},
	{"FailingStep", "keeps nothing for a closed receiver", `not event "first"`},
	{"CancelledRecvLosesNothing", "delivers to a Recv that has given up", "has not returned"},

	// 3. Acks.
	{"AckCommits", "does not commit", `not event "second"`},
	{"AckIsIdempotent", "refuses a second Ack", reference.ErrFault.Error()},
	{"AckIsIdempotent", "moves on by one with each Ack", `event "third", not event "second"`},
	{"AckFromAnyGoroutine", "refuses an Ack beside another", "from one of 8 goroutines"},
	{"AckAfterContext", "refuses an Ack after the context", context.Canceled.Error()},
	{"AckAfterContext", "ignores an Ack after the context", `not event "second"`},
	{"AckAfterClose", "refuses an Ack after the receiver's Close", memstreamer.ErrClosed.Error()},
	{"AckAfterClose", "ignores an Ack after the receiver's Close", `not event "second"`},
	{"AckAfterClose", "refuses an Ack after the streamer's Close", memstreamer.ErrClosed.Error()},
	{"LateAckChangesNothing", "refuses a late Ack", reference.ErrFault.Error()},
	{"LateAckChangesNothing", "goes back for a late Ack", `event "second", not event "third"`},

	// 4. Positions.
	{"CursorPerTopicAndName", "has one cursor for a name on all topics", `not event "invoice 0"`},
	{"CursorPerTopicAndName", "has one cursor for all names on a topic", "has not returned"},
	{"CursorSurvivesClose", "starts each receiver at the oldest", `event "first", not event "second"`},
	{"CursorSurvivesClose", "starts each receiver but the first at the latest", "has not returned"},
	{"SharedCursor", "gives each receiver its own cursor", `event "first", not event "second"`},
	{"SharedCursor", "delivers to one receiver of a name until the Ack", "has not returned"},
	{"EphemeralHasItsOwnPosition", "ignores Ephemeral", "has not returned"},
	{"EphemeralHasItsOwnPosition", "has ephemeral receivers of a name share a cursor", "has not returned"},
	{"EphemeralIsForgotten", "leaves the cursor of an ephemeral receiver to the next", `event "second", not event "first"`},
	{"EphemeralIsForgotten", "stores the position of an ephemeral receiver", `event "second", not event "third"`},
	{"EphemeralIsForgotten", "forgets the consumer of the name with an ephemeral receiver", `event "first", not event "fourth"`},
	{"EphemeralIsForgotten", "does not wake on Close of the receiver", "has not returned"},
	{"EphemeralHoldsEvents", "keeps nothing for an ephemeral receiver", `event "event 0": after 1s, Recv has not returned`},
	{"EphemeralLateAck", "refuses an Ack after an ephemeral receiver's Close", memstreamer.ErrClosed.Error()},
	{"EphemeralLateAck", "acks for all of the name after an ephemeral receiver's Close", `event "second", not event "first"`},

	// 5. A new consumer.
	{"StreamFromLatestSkipsOlder", "ignores StreamFromLatest", `event "old"`},
	{"StreamFromLatestPins", "pins at the first Recv", "has not returned"},
	{"StreamFromLatestOnEmptyTopic", "takes the first event for an older one", `event "second", not event "first"`},
	{"StreamFromLatestResumes", "skips to the latest each time it is asked", "has not returned"},
	{"StreamFromLatestResumes", "forgets a cursor that was never acked", "has not returned"},
	{"StreamFromLastStarts", "ignores StreamFromLast", `event "old", not event "middle"`},
	{"StreamFromLastStarts", "takes StreamFromLast for StreamFromLatest", `event "new", not event "middle"`},
	{"StreamFromLastStarts", "goes half as far back as StreamFromLast says", `event "young", not event "middle"`},
	{"StreamFromLastStarts", "goes twice as far back as StreamFromLast says", `event "old", not event "middle"`},
	{"StreamFromLastStarts", "counts StreamFromLast from the first Recv", "has not returned"},
	{"StreamFromLastStarts", "stamps no time", "the streamer's clock has to run"},
	{"StreamFromLastStarts", "takes a minute to open a receiver", "no NewReceiver was fast enough"},
	{"StreamFromLastOnIdleTopic", "starts at the oldest if none is of the last", `event "old", not event "first"`},
	{"StreamFromLastOnIdleTopic", "takes the first event for an older one", `event "second", not event "first"`},
	{"StreamFromLastResumes", "skips to the last each time it is asked", "not event"},
	{"StreamFromLastWithLatest", "has StreamFromLast win", `event "old", not event "new"`},
	{"StreamFromLastRefused", "takes a negative StreamFromLast", "NewReceiver returned no error"},
	{"StreamFromLastRefused", "takes a StreamFromLast of 0", "NewReceiver returned no error"},

	// 6. Shards.
	{"ShardGetsItsEvents", "ignores Shard", "not event"},
	{"ShardGetsItsEvents", "ignores the Shard of an ephemeral receiver", "not event"},
	{"ShardGetsItsEvents", "counts shards from 1", "not event"},
	{"ShardGetsItsEvents", "starts a shard at the latest", `not event "event 3"`},
	{"ShardGetsItsEvents", "ignores StreamFromLatest for a shard", "not event"},
	{"ShardGetsItsEvents", "keeps nothing for a shard", "has not returned"},
	{"ShardGetsItsEvents", "has a shard pass over one of its own now and then", "has not returned"},
	{"ShardWakes", "does not wake shards", "has not returned"},
	{"ShardIsShared", "has a position for each receiver of a shard", "not event"},
	{"ShardStays", "opens a consumer of another shard", "NewReceiver returned no error"},
	{"ShardStays", "has an error of its own for another shard", "another shard"},
	{"ShardStays", "says of one shard alone that it is another", `does not say "(2, 4)"`},
	{"ShardRefused", "takes a Shard of none", "NewReceiver returned no error"},
	{"ShardRefused", "takes a Shard past the last", "NewReceiver returned no error"},

	// 7. Topics.
	{"TopicHeader", "ignores the header", `event "last", not event "by its header"`},
	{"TopicHeader", "sends to the header's topic and to the sender's", `event "by its header", not event "by its sender"`},
	{"TopicHeader", "takes an empty header for a topic", `event "by both", not event "empty header"`},
	{"TopicHeaderWakes", "wakes the receivers of the sender's topic", "has not returned"},
	{"AwkwardNames", "makes topics plain", "not event"},
	{"AwkwardNames", "makes names of receivers plain", "has not returned"},
	{"AwkwardNames", "ignores case", "not event"},
	{"AwkwardNames", "trims spaces from topics", "not event"},
	{"AwkwardNames", "trims spaces from names of receivers", "has not returned"},
	{"AwkwardNames", "ends topics at a NUL", "not event"},
	{"AwkwardNames", "takes composed letters for decomposed ones", "not event"},
	{"AwkwardNames", "cuts names of receivers at 255 bytes", "has not returned"},
	{"AwkwardNames", "refuses wildcards", reference.ErrFault.Error()},

	// 8. Isolation.
	{"IsolationOfSentHeaders", "keeps the map that Send was given", "of an event is"},
	{"IsolationOfReceivedEvents", "gives all receivers one map", "of an event is"},
	{"IsolationOfReceivedEvents", "gives a receiver one map again", "of an event is"},
	{"HeadersKept", "makes nil an empty map", "not 0 (nil: true)"},
	{"HeadersKept", "makes an empty map nil", "not 0 (nil: false)"},
	{"HeadersKept", "leaves out empty values", `header "run_id" of an event is "" (present: false)`},
	{"HeadersKept", "leaves out the empty name", `header "" of an event`},
	{"HeadersKept", "writes names as HTTP does", `header "run_id" of an event is "" (present: false)`},
	{"HeadersKept", "folds lines", `not "line\r\nbreak`},
	{"HeadersKept", "trims values", "of an event is"},
	{"HeadersKept", "ends values at 8 KB", `header "large" of an event`},
	{"HeadersKept", "keeps a hundred headers", "has 100 headers"},

	// 9. Contexts.
	{"ContextFirst", "returns an event that is there", `Recv returned event "first", not the error`},
	{"ContextFirst", "has Recv notice a Close first", `Recv returned the error "memstreamer: closed", not the error "context canceled"`},
	{"ContextFirst", "has Send notice a Close first", "Send after Close returned the error " + memstreamer.ErrClosed.Error()},
	{"ContextFirst", "appends what it refuses", `event "refused", not event "last"`},
	{"ContextFirst", "has Send ignore the context", "Send returned the error <nil>"},
	{"ContextFirst", "has NewSender ignore the context", "NewSender returned no error"},
	{"ContextFirst", "has NewReceiver ignore the context", "NewReceiver returned no error"},
	{"ContextFirst", "returns a sender beside an error", "NewSender returned a non-nil"},
	{"CancelWakesRecv", "does not wake on cancel", "has not returned"},
	{"CancelWakesRecv", "returns the cause", `Recv returned the error "a cause`},
	{"CancelWakesRecv", "takes a deadline for a cancel", `not the error "context deadline exceeded"`},
	{"CancelWakesNoOther", "cancels all that wait", `not event "later"`},
	{"ForeignContexts", "knows the standard library's alone", "does not watch its context"},
	{"ForeignContexts", "returns an error of the standard library's", `Recv returned the error "context canceled"`},

	// 10. Close.
	{"CloseIsIdempotent", "refuses a second Close of a sender", "Close of the sender: " + reference.ErrFault.Error()},
	{"CloseIsIdempotent", "refuses a second Close of a receiver", "Close of the receiver: " + reference.ErrFault.Error()},
	{"CloseIsIdempotent", "refuses a second Close of the streamer", "Close of the streamer: " + reference.ErrFault.Error()},
	{"CloseIsIdempotent", "refuses to close a receiver of a closed streamer", "Close of the receiver: " + reference.ErrFault.Error()},
	{"ClosedReceiver", "receives after Close", `Recv returned event "first", not the error`},
	{"ClosedReceiver", "has an error of its own for it", `Recv returned the error "the fault's own error"`},
	{"ClosedReceiver", "closes all receivers of the name", `not event "first"`},
	{"ClosedSender", "sends after Close", "Send after Close returned the error <nil>"},
	{"ClosedSender", "appends what it refuses", `event "refused", not event "after"`},
	{"ClosedSender", "takes its events with it", `event "after", not event "before"`},
	{"ClosedSaysWhat", "does not say what was closed", `does not say "the streamer"`},
	{"ClosedWakesRecv", "does not wake on Close of the receiver", "has not returned"},
	{"ClosedWakesRecv", "wakes the other receivers of the topic", `not event "later"`},
	{"ClosedStreamer", "ignores Close", "Send returned the error <nil>"},
	{"ClosedStreamer", "opens senders after Close", "NewSender returned no error"},
	{"ClosedStreamerWakesRecv", "does not wake on Close of the streamer", "has not returned"},

	// 11. Refusals.
	{"RefusesEmpty", "takes an empty topic for a sender", "NewSender returned no error"},
	{"RefusesEmpty", "takes an empty topic for a receiver", "NewReceiver returned no error"},
	{"RefusesEmpty", "takes an empty name", "NewReceiver returned no error"},
	{"RefusesEmpty", "passes over a nil option", "NewReceiver returned no error"},
	{"RefusesEmpty", "does not say what is empty", `does not say "topic"`},

	// 12. Goroutines.
	{"NoGoroutinesLeft", "starts one for each receiver", "goroutines after Close"},
	{"NoGoroutinesLeft", "starts one for each ephemeral receiver", "goroutines after Close"},
	{"NoGoroutinesLeft", "starts one for each Recv, which outlives that", "goroutines after Close"},
	{"NoGoroutinesParked", "starts one to watch the context", "goroutines while receivers are parked"},
	{"NoGoroutinesOnHotPath", "starts one for each Recv", "at least as many goroutines"},
	{"NoGoroutinesOnHotPath", "starts one for each Send", "at least as many goroutines"},

	// All of it at once: too rare for the other checks.
	{"Stress", "ignores an Ack in a hundred", "came again after its Ack"},
	{"Stress", "passes over an event now and then", "was next"},
	{"Stress", "delivers the headers of another event now and then", "has the header of event"},
	{"Stress", "hangs in one call of four", "has not returned"},
	{"Stress", "delivers an event under two IDs", "with different IDs"},
}

// newStreamer returns a streamer with the fault.
func (f fault) newStreamer(t *testing.T) memstreamer.EventStreamer {
	return reference.New(&reference.Fault{Does: f.does, Life: t.Context()}, nil, 0)
}

// TestFaults checks that the suite catches each fault, by the right check and for
// the right reason.
func TestFaults(t *testing.T) {
	c, err := resolve([]Option{InMemory(), WithDeadline(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		p := contract[slices.IndexFunc(contract, func(p promise) bool { return p.name == f.breaks })]
		t.Run(f.breaks+"/"+f.does, func(t *testing.T) {
			// In a bubble, it takes no time that a deadline passes.
			synctest.Test(t, func(t *testing.T) {
				report := record(func(tb testing.TB) {
					p.try(tb, c, func() memstreamer.EventStreamer { return f.newStreamer(t) })
				})
				if !strings.Contains(report.String(), f.says) {
					t.Errorf("the check reports %q, and not %q", report, f.says)
				}
			})
		})
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
		Run(t, f.newStreamer, InMemory())
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
