package memwatermill_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// fault is a way in which the adapter might be wrong, planted around it: in its
// configuration, beneath it or on top of it.
type fault struct {
	breaks string // the name of a check
	does   string
	says   string // part of what the check reports

	config   func(*memwatermill.Config)
	streamer func(memstreamer.EventStreamer) memstreamer.EventStreamer
	pubSub   func(*world, *memwatermill.PubSub) pubSub
}

// TestFaults shows that each check catches what it is there for.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.breaks+"/"+f.does, func(t *testing.T) {
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == f.breaks })
			err := checks[i].try(t, f)
			if err == nil || !strings.Contains(err.Error(), f.says) {
				t.Errorf("the check reports %v, and not %q", err, f.says)
			}
		})
	}
}

// TestEveryCheckCanFail shows that no check catches nothing.
func TestEveryCheckCanFail(t *testing.T) {
	for _, c := range checks {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.breaks == c.name }) {
			t.Errorf("no fault breaks %s", c.name)
		}
	}
}

var faults = []fault{
	{
		breaks: "UnackedComesAgain", does: "acks before delivery", says: `message "a" did not come`,
		streamer: func(s memstreamer.EventStreamer) memstreamer.EventStreamer {
			return &wrapped{EventStreamer: s, recv: func(recv func() (*memstreamer.Event, memstreamer.Ack, error)) (*memstreamer.Event, memstreamer.Ack, error) {
				e, ack, err := recv()
				if err == nil {
					err = ack()
				}
				return e, ack, err
			}}
		},
	},
	{
		breaks: "NackedComesAgain", does: "loses a Nack", says: `message "a" did not come`,
		pubSub: relayed(acknowledge),
	},
	{
		breaks: "NackedComesAgain", does: "delivers the same message again", says: "has the metadata that was set",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub {
			first := make(map[string]message.Metadata)
			return relay{PubSub: p, w: w, in: func(m *message.Message) *message.Message {
				c := copied(m)
				if known, ok := first[m.UUID]; ok {
					c.Metadata = known
				}
				first[m.UUID] = c.Metadata
				return c
			}, out: answer}
		},
	},
	{
		breaks: "NackDelayGrows", does: "waits equally long", says: "after 1s, not 2s",
		config: func(c *memwatermill.Config) { c.MaxNackDelay = c.NackDelay },
	},
	{
		breaks: "NackDelayGrows", does: "has no cap", says: "after 8s, not 5s",
		config: func(c *memwatermill.Config) { c.MaxNackDelay = time.Hour },
	},
	{
		breaks: "NackDelayGrows", does: "does not start anew", says: "message b came again after 2s, not 1s",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub {
			return relay{PubSub: p, w: w, in: copied, out: func(m, relayed *message.Message) {
				if m.UUID == "b" {
					time.Sleep(time.Second)
				}
				answer(m, relayed)
			}}
		},
	},
	{
		breaks: "OneInFlight", does: "delivers to two of a group", says: "while \"a\" was in flight",
		streamer: unrelated,
	},
	{
		breaks: "TravelsUnchanged", does: "reroutes by metadata", says: `message "b" came, and not "a"`,
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub { return rerouting{p, w} },
	},
	{
		breaks: "TravelsUnchanged", does: "mends bytes that are not UTF-8", says: "came with",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub {
			return relay{PubSub: p, w: w, in: func(m *message.Message) *message.Message {
				c := copied(m)
				c.Payload = []byte(strings.ToValidUTF8(string(m.Payload), "?"))
				return c
			}, out: answer}
		},
	},
	{
		breaks: "StartsWhereItShould", does: "starts with the oldest always", says: `message "a" came, and none should`,
		config: func(c *memwatermill.Config) { c.StreamFromLatest = false },
	},
	{
		breaks: "StartsWhereItShould", does: "starts after the newest always", says: `message "a" did not come`,
		config: func(c *memwatermill.Config) { c.StreamFromLatest = true },
	},
	{
		breaks: "NameIsForgotten", does: "remembers every name", says: "is left",
		streamer: func(s memstreamer.EventStreamer) memstreamer.EventStreamer { return &wrapped{EventStreamer: s} },
	},
	{
		breaks: "LanesKeepKeysInOrder", does: "handles one at a time", says: "messages were handled in 400ms",
		config: func(c *memwatermill.Config) { c.Lanes = 1 },
	},
	{
		breaks: "LanesKeepKeysInOrder", does: "deals by something else than the key", says: "were handled in the order",
		config: func(c *memwatermill.Config) {
			c.LaneKey = func(m *message.Message) string { return m.UUID }
		},
	},
	{
		breaks: "LanesKeepKeysInOrder", does: "has two deal", says: "",
		streamer: unrelated,
	},
	{
		breaks: "LanesKeepKeysInOrder", does: "has more in flight than lanes", says: "handled at once",
		config: func(c *memwatermill.Config) { c.Lanes = 64 },
	},
	{
		breaks: "StuckHoldsItsLane", does: "holds all", says: "did not come",
		config: func(c *memwatermill.Config) { c.Lanes = 1 },
	},
	{
		breaks: "OthersTakeOver", does: "keeps its turns", says: "did not come",
		pubSub: func(_ *world, p *memwatermill.PubSub) pubSub { return undying{p} },
	},
	{
		breaks: "LanesChange", does: "does not look for what is left", says: "no message came",
		streamer: func(s memstreamer.EventStreamer) memstreamer.EventStreamer {
			return struct {
				memstreamer.EventStreamer
			}{s}
		},
	},
	{
		breaks: "MessageContext", does: "makes contexts of its own", says: "has no values",
		pubSub: relayed(answer, func(m *message.Message) { m.SetContext(context.Background()) }),
	},
	{
		breaks: "MessageContext", does: "does not end them", says: "is not done",
		pubSub: relayed(answer, func(m *message.Message) { m.SetContext(context.WithoutCancel(m.Context())) }),
	},
	{
		breaks: "MessageContext", does: "ends them at once", says: "is done before its Ack",
		pubSub: relayed(answer, func(m *message.Message) {
			ctx, cancel := context.WithCancel(m.Context())
			cancel()
			m.SetContext(ctx)
		}),
	},
	{
		breaks: "ContextEndsSubscription", does: "ignores the context", says: "the message's context is not done",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub { return deaf{p} },
	},
	{
		breaks: "ContextEndsSubscription", does: "does not wait for the Ack", says: "came, and not",
		config: func(c *memwatermill.Config) { c.CloseTimeout = time.Nanosecond },
	},
	{
		breaks: "CloseWaits", does: "does not wait", says: "did not wait",
		config: func(c *memwatermill.Config) { c.CloseTimeout = time.Nanosecond },
	},
	{
		breaks: "CloseWaits", does: "refuses what handlers publish", says: "Publish during Close",
		pubSub: func(_ *world, p *memwatermill.PubSub) pubSub { return &hasty{PubSub: p} },
	},
	{
		breaks: "CloseGivesUp", does: "waits too long", says: "Close waited for 1h0m0s, not 1m0s",
		config: func(c *memwatermill.Config) {
			if c.CloseTimeout > 0 {
				c.CloseTimeout = time.Hour
			}
		},
	},
	{
		breaks: "CloseLeavesNothing", does: "leaks a goroutine", says: "found unexpected goroutines",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub {
			go func() { <-w.ctx.Done() }()
			return p
		},
	},
	{
		breaks: "StreamerFails", does: "gives up", says: "did not come",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub {
			return relay{PubSub: p, w: w, in: copied, out: func(m, relayed *message.Message) {
				if m.UUID != "7" {
					answer(m, relayed)
				}
			}}
		},
	},
	{
		breaks: "StreamerCloses", does: "does not notice", says: "the channel is not closed",
		pubSub: func(w *world, p *memwatermill.PubSub) pubSub {
			return relay{PubSub: p, w: w, in: copied, out: answer, keepOpen: true}
		},
	},
}

// unrelated has every PubSub on a streamer of its own, as it seems, so that they
// do not know of one another.
func unrelated(s memstreamer.EventStreamer) memstreamer.EventStreamer {
	return &wrapped{EventStreamer: s}
}
