package streamertest

import (
	"context"
	"maps"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

// goroutineFaults break the contract's eleventh line, goroutines.
var goroutineFaults = []fault{
	{
		"NoGoroutinesLeft", "starts one for each receiver", "goroutines after Close",
		hooks{NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
			go func() { <-s.Life.Done() }()
			return s.OpenReceiver(ctx, topic, name, opts...)
		}},
	},
	{
		"NoGoroutinesLeft", "starts one for each Recv, which outlives that", "goroutines after Close",
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			go func() { <-r.Streamer.Life.Done() }()
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"NoGoroutinesParked", "starts one to watch the context", "goroutines while receivers are parked",
		parking(func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
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
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			done := make(chan struct{})
			go close(done)
			<-done
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"NoGoroutinesOnHotPath", "starts one for each Send", "at least as many goroutines",
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			sent := make(chan error)
			go func() { sent <- s.Pass(ctx, e) }()
			return <-sent
		}},
	},
}

// stressFaults are too rare for the other checks.
var stressFaults = []fault{
	{
		"Stress", "ignores an Ack in a hundred", "came again after its Ack",
		acked(func(d *delivery) error {
			if d.Receiver.Streamer.Count.Add(1)%100 == 0 {
				return nil
			}
			return d.Commit()
		}),
	},
	{
		"Stress", "passes over an event now and then", "was next",
		hooks{Recv: hooked.Pass(func(_ *receiver, e *event) bool { return e.ID%97 == 0 })},
	},
	{
		"Stress", "delivers the headers of another event now and then", "has the header of event",
		edited(func(r *receiver, e *event) {
			last, known := r.Streamer.Memory.Swap("last", maps.Clone(e.Headers))
			if known && r.Streamer.Count.Add(1)%50 == 0 {
				e.Headers = maps.Clone(last.(headers))
			}
		}),
	},
	{
		// Of all calls and not of those that park, which on a busy machine may be few.
		"Stress", "hangs in one call of four", "has not returned",
		hooks{Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			if r.Streamer.Count.Add(1)%4 == 0 {
				<-ctx.Done()
				return nil, nil, ctx.Err()
			}
			return r.EventReceiver.Recv(ctx)
		}},
	},
	{
		"Stress", "delivers an event under two IDs", "with different IDs",
		edited(func(r *receiver, e *event) {
			if r.Name == "a" {
				e.ID *= 2
			}
		}),
	},
}
