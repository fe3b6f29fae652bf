package streamertest

import (
	"context"
	"maps"

	"github.com/memstreamer/memstreamer"
)

// goroutineFaults break the contract's eleventh line, goroutines.
var goroutineFaults = []fault{
	{
		"NoGoroutinesLeft", "starts one for each receiver", "goroutines after Close",
		hooks{newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			go func() { <-s.life.Done() }()
			return s.receiver(ctx, topic, name, opts)
		}},
	},
	{
		"NoGoroutinesLeft", "starts one for each Recv, which outlives that", "goroutines after Close",
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			go func() { <-r.streamer.life.Done() }()
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"NoGoroutinesParked", "starts one to watch the context", "goroutines while receivers are parked",
		parking(func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			returned := make(chan struct{})
			defer close(returned)
			go func() {
				select {
				case <-ctx.Done():
				case <-returned:
				}
			}()
			return r.EventReceiver.Recv(ctx)
		}),
	},
	{
		"NoGoroutinesOnHotPath", "starts one for each Recv", "at least as many goroutines",
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			done := make(chan struct{})
			go close(done)
			<-done
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"NoGoroutinesOnHotPath", "starts one for each Send", "at least as many goroutines",
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			sent := make(chan error)
			go func() { sent <- s.EventSender.Send(ctx, foreignID, statusType, h) }()
			return <-sent
		}},
	},
}

// stressFaults are too rare for the other checks.
var stressFaults = []fault{
	{
		"Stress", "ignores an Ack in a hundred", "came again after its Ack",
		acked(func(d *delivery) error {
			if d.receiver.streamer.count.Add(1)%100 == 0 {
				return nil
			}
			return d.commit()
		}),
	},
	{
		"Stress", "passes over an event now and then", "was next",
		hooks{recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err == nil && e.ID%97 == 0 {
				_ = ack()
				return r.Recv(ctx)
			}
			return e, ack, err
		}},
	},
	{
		"Stress", "delivers the headers of another event now and then", "has the header of event",
		edited(func(r *wrappedReceiver, e *memstreamer.Event) {
			last, known := r.streamer.memory.Swap("last", maps.Clone(e.Headers))
			if known && r.streamer.count.Add(1)%50 == 0 {
				e.Headers = maps.Clone(last.(headers))
			}
		}),
	},
	{
		"Stress", "loses a wake-up in twenty", "has not returned",
		parking(func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
			if r.streamer.count.Add(1)%20 == 0 {
				<-ctx.Done()
				return nil, nil, ctx.Err()
			}
			return r.EventReceiver.Recv(ctx)
		}),
	},
	{
		"Stress", "delivers an event under two IDs", "with different IDs",
		edited(func(r *wrappedReceiver, e *memstreamer.Event) {
			if r.name == "a" {
				e.ID *= 2
			}
		}),
	},
}
