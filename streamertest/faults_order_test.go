package streamertest

import (
	"context"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer/internal/hooked"
)

// orderFaults break the contract's first line.
var orderFaults = []fault{
	{
		"Order", "swaps the IDs of neighbours", "after one sent earlier with ID",
		edited(func(_ *receiver, e *event) { e.ID ^= 1 }),
	},
	{
		"Order", "loses an event", `not event "event 12"`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			if s.Streamer.Count.Add(1) == 13 {
				return nil
			}
			return s.Pass(ctx, e)
		}},
	},
	{
		"Order", "swaps neighbours", `not event "event 12"`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			switch s.Streamer.Count.Add(1) {
			case 13:
				s.Streamer.Memory.Store("held", e)
				return nil
			case 16: // the next of this sender's
				held, _ := s.Streamer.Memory.Load("held")
				defer func() { _ = s.Pass(ctx, held.(outgoing)) }()
			}
			return s.Pass(ctx, e)
		}},
	},
	{
		"Order", "mixes topics", `event "event 0", not event "event 1"`,
		named(func(string) string { return "of all" }, same),
	},
	{
		"VisibleWhenSendReturns", "appends a moment later", `Recv returned event "before`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			time.AfterFunc(50*time.Millisecond, func() { _ = s.Pass(s.Streamer.Life, e) })
			return nil
		}},
	},
	{
		"RecvWaits", "returns nothing where there is nothing", "no event and no error",
		parking(func(context.Context, *receiver) (*event, ackFunc, error) {
			return nil, nil, nil
		}),
	},
	{
		"RecvWaits", "does not wake on Send", "has not returned",
		parking(func(ctx context.Context, _ *receiver) (*event, ackFunc, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		}),
	},
	{
		"RecvWaits", "wakes one receiver for each Send", "has not returned",
		parking(func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			if _, taken := r.Streamer.Memory.LoadOrStore(r.Topic, r); taken {
				<-ctx.Done()
				return nil, nil, ctx.Err()
			}
			defer r.Streamer.Memory.Delete(r.Topic)
			return r.EventReceiver.Recv(ctx)
		}),
	},
	{
		"EventIsWhatWasSent", "keeps 16 bits of the type", "has type",
		edited(func(_ *receiver, e *event) { e.Type = int(int16(e.Type)) }),
	},
	{
		"EventIsWhatWasSent", "ends the foreign ID at a NUL", "not event",
		edited(func(_ *receiver, e *event) { e.ForeignID, _, _ = strings.Cut(e.ForeignID, "\x00") }),
	},
	{
		"EventIsWhatWasSent", "stamps no time", "has no CreatedAt",
		edited(func(_ *receiver, e *event) { e.CreatedAt = time.Time{} }),
	},
	{
		"EventIsWhatWasSent", "stamps the time of the delivery", "was delivered with",
		edited(func(r *receiver, e *event) {
			e.CreatedAt = e.CreatedAt.Add(time.Duration(r.Streamer.Count.Add(1)))
		}),
	},
	{
		"IDsWithoutGaps", "counts by two", "has ID 2",
		edited(func(_ *receiver, e *event) { e.ID *= 2 }),
	},
	{
		"IDsWithoutGaps", "counts each topic for itself", "has ID 1",
		edited(func(_ *receiver, e *event) { e.ID = (e.ID + 1) / 2 }),
	},
	{
		"IDsWithoutGaps", "takes an ID for a Send that it refuses", "has ID 4",
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			err := s.Pass(ctx, e)
			if err != nil {
				other, _ := s.Streamer.OpenSender(context.Background(), "of the refused")
				_ = other.Send(context.Background(), e.ForeignID, e.Type, nil)
			}
			return err
		}},
	},
	{
		"WakesAtOnce", "polls", "hand-offs: not done",
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			for {
				select {
				case <-ctx.Done():
					return nil, nil, ctx.Err()
				case <-time.After(5 * time.Millisecond):
				}
				if e, ack, err := r.Poll(ctx); err != hooked.ErrWaits {
					return e, ack, err
				}
			}
		}},
	},
}
