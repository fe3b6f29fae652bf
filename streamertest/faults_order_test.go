package streamertest

import (
	"context"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

// edited changes each event that Recv returns.
func edited(edit func(r *wrappedReceiver, e *memstreamer.Event)) hooks {
	return hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
		e, ack, err := r.EventReceiver.Recv(ctx)
		if err == nil {
			edit(r, e)
		}
		return e, ack, err
	}}
}

// parking changes what a Recv does that finds nothing.
func parking(park func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error)) hooks {
	return hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if e, ack := r.poll(); e != nil {
			return e, ack, nil
		}
		return park(r, ctx)
	}}
}

// named has topics and names of receivers go by other names.
func named(topicOf, nameOf func(string) string) hooks {
	return hooks{
		newSender: func(s *wrapped, ctx context.Context, topic string) (memstreamer.EventSender, error) {
			return s.sender(ctx, topicOf(topic))
		},
		newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			return s.receiver(ctx, topicOf(topic), nameOf(name), opts)
		},
	}
}

func same(name string) string { return name }

// orderFaults break the contract's first line.
var orderFaults = []fault{
	{
		"Order", "swaps the IDs of neighbours", "after one sent earlier with ID",
		edited(func(_ *wrappedReceiver, e *memstreamer.Event) { e.ID ^= 1 }),
	},
	{
		"Order", "loses an event", `not event "event 12"`,
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			if s.streamer.count.Add(1) == 13 {
				return nil
			}
			return s.EventSender.Send(ctx, foreignID, statusType, h)
		}},
	},
	{
		"Order", "swaps neighbours", `not event "event 12"`,
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			switch s.streamer.count.Add(1) {
			case 13:
				s.streamer.memory.Store("held", foreignID)
				return nil
			case 16: // the next of this sender's
				held, _ := s.streamer.memory.Load("held")
				defer func() { _ = s.EventSender.Send(ctx, held.(string), statusType, h) }()
			}
			return s.EventSender.Send(ctx, foreignID, statusType, h)
		}},
	},
	{
		"Order", "mixes topics", `event "event 0", not event "event 1"`,
		named(func(string) string { return "of all" }, same),
	},
	{
		"VisibleWhenSendReturns", "appends a moment later", `Recv returned event "before`,
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			time.AfterFunc(50*time.Millisecond, func() { _ = s.EventSender.Send(s.streamer.life, foreignID, statusType, h) })
			return nil
		}},
	},
	{
		"RecvWaits", "returns nothing where there is nothing", "no event and no error",
		parking(func(*wrappedReceiver, context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			return nil, nil, nil
		}),
	},
	{
		"RecvWaits", "does not wake on Send", "has not returned",
		parking(func(_ *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		}),
	},
	{
		"RecvWaits", "wakes one receiver for each Send", "has not returned",
		parking(func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			if _, taken := r.streamer.memory.LoadOrStore(r.topic, r); taken {
				<-ctx.Done()
				return nil, nil, ctx.Err()
			}
			defer r.streamer.memory.Delete(r.topic)
			return r.EventReceiver.Recv(ctx)
		}),
	},
	{
		"EventIsWhatWasSent", "keeps 16 bits of the type", "has type",
		edited(func(_ *wrappedReceiver, e *memstreamer.Event) { e.Type = int(int16(e.Type)) }),
	},
	{
		"EventIsWhatWasSent", "ends the foreign ID at a NUL", "not event",
		edited(func(_ *wrappedReceiver, e *memstreamer.Event) { e.ForeignID, _, _ = strings.Cut(e.ForeignID, "\x00") }),
	},
	{
		"EventIsWhatWasSent", "stamps no time", "has no CreatedAt",
		edited(func(_ *wrappedReceiver, e *memstreamer.Event) { e.CreatedAt = time.Time{} }),
	},
	{
		"EventIsWhatWasSent", "stamps the time of the delivery", "was delivered with",
		edited(func(r *wrappedReceiver, e *memstreamer.Event) {
			e.CreatedAt = e.CreatedAt.Add(time.Duration(r.streamer.count.Add(1)))
		}),
	},
	{
		"IDsWithoutGaps", "counts by two", "has ID 2",
		edited(func(_ *wrappedReceiver, e *memstreamer.Event) { e.ID *= 2 }),
	},
	{
		"IDsWithoutGaps", "counts each topic for itself", "has ID 1",
		edited(func(_ *wrappedReceiver, e *memstreamer.Event) { e.ID = (e.ID + 1) / 2 }),
	},
	{
		"IDsWithoutGaps", "takes an ID for a Send that it refuses", "has ID 4",
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			err := s.EventSender.Send(ctx, foreignID, statusType, h)
			if err != nil {
				other, _ := s.streamer.sender(context.Background(), "of the refused")
				_ = other.Send(context.Background(), foreignID, statusType, nil)
			}
			return err
		}},
	},
	{
		"WakesAtOnce", "polls", "hand-offs: not done",
		// It sleeps before it looks: what it looks at yields once for the event
		// that is a moment away.
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			for {
				select {
				case <-ctx.Done():
					return nil, nil, ctx.Err()
				case <-time.After(5 * time.Millisecond):
				}
				if e, ack := r.poll(); e != nil {
					return e, ack, nil
				}
			}
		}},
	},
}
