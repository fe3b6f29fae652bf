package fulfilment_test

import (
	"context"
	"errors"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

// watch is told of each call of an engine's streamer and of its store, and of the
// time after a save. An error makes the call fail.
type watch func(call string) error

var nothing watch = func(string) error { return nil }

// then returns what f does, unless call fails.
func then[T any](w watch, call string, f func() (T, error)) (T, error) {
	if err := w(call); err != nil {
		return *new(T), err
	}
	return f()
}

// streamer returns s, watched, as an engine sees it.
func (w watch) streamer(s *memstreamer.StreamConstructor) fulfilment.EventStreamer {
	return memstreamer.As[fulfilment.EventStreamer](hooked.Wrap(s, hooked.Hooks{
		NewSender: func(ctx context.Context, s *hooked.Streamer, topic string) (memstreamer.EventSender, error) {
			return then(w, "NewSender", func() (memstreamer.EventSender, error) { return s.OpenSender(ctx, topic) })
		},
		NewReceiver: func(ctx context.Context, s *hooked.Streamer, topic, name string, opts []memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
			return then(w, "NewReceiver", func() (memstreamer.EventReceiver, error) { return s.OpenReceiver(ctx, topic, name, opts...) })
		},
		Send: func(ctx context.Context, s *hooked.Sender, e hooked.Outgoing) error {
			if err := w("Send"); err != nil {
				return err
			}
			return s.Pass(ctx, e)
		},
		Recv: func(ctx context.Context, r *hooked.Receiver) (*memstreamer.Event, memstreamer.Ack, error) {
			if err := w("Recv"); err != nil {
				return nil, nil, err
			}
			return r.EventReceiver.Recv(ctx)
		},
		Ack: func(d *hooked.Delivery) error {
			if err := w("Ack"); err != nil {
				return err
			}
			return d.Commit()
		},
		CloseSender:   func(s *hooked.Sender) error { return errors.Join(w("Close"), s.EventSender.Close()) },
		CloseReceiver: func(r *hooked.Receiver) error { return errors.Join(w("Close"), r.EventReceiver.Close()) },
	}))
}

// watchedStore is a store that is watched.
type watchedStore struct {
	fulfilment.Store
	watch
}

// Save tells of a submit and of a step apart.
func (s watchedStore) Save(ctx context.Context, record fulfilment.Record) error {
	call := "Save"
	if record.Status == fulfilment.Placed {
		call = "Submit"
	}
	if err := s.watch(call); err != nil {
		return err
	}
	return errors.Join(s.Store.Save(ctx, record), s.watch("after "+call))
}

func (s watchedStore) Load(ctx context.Context, orderID string) (fulfilment.Record, error) {
	return then(s.watch, "Load", func() (fulfilment.Record, error) { return s.Store.Load(ctx, orderID) })
}

func (s watchedStore) All(ctx context.Context) ([]fulfilment.Record, error) {
	return then(s.watch, "All", func() ([]fulfilment.Record, error) { return s.Store.All(ctx) })
}

func (s watchedStore) Outbox(ctx context.Context, limit int) ([]fulfilment.Record, error) {
	return then(s.watch, "Outbox", func() ([]fulfilment.Record, error) { return s.Store.Outbox(ctx, limit) })
}

func (s watchedStore) Sent(ctx context.Context, record fulfilment.Record) error {
	if err := s.watch("Sent"); err != nil {
		return err
	}
	return s.Store.Sent(ctx, record)
}
