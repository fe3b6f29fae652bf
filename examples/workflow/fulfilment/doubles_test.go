package fulfilment_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// watch is told what an engine is about to do: each method of its store and of
// its streamer, and the points in a step that [watchedFaults] names. An error
// makes that fail.
type watch func(what string) error

// failNth fails what when it is done for the nth time. It counts its failures.
func failNth(n int64, what string, failures *atomic.Int64) watch {
	var calls atomic.Int64
	return func(w string) error {
		if w == what && calls.Add(1) == n {
			failures.Add(1)
			return errTest
		}
		return nil
	}
}

// watchedFaults fail before a step, crash before a step, and crash between the
// save and the ack.
func watchedFaults(w watch) fulfilment.Faults {
	crash := func(what string) {
		if err := w(what); err != nil {
			panic(err)
		}
	}
	return fulfilment.Faults{
		BeforeStep: func(string, fulfilment.Record) error {
			crash("crash before the step")
			return w("step")
		},
		BeforeAck: func(string, fulfilment.Record) { crash("crash before the ack") },
	}
}

type watchedStore struct {
	fulfilment.Store
	watch watch
}

func (s watchedStore) Save(ctx context.Context, record fulfilment.Record, event fulfilment.OutboxEvent) error {
	if err := s.watch("Save"); err != nil {
		return err
	}
	return s.Store.Save(ctx, record, event)
}

func (s watchedStore) Load(ctx context.Context, runID string) (fulfilment.Record, error) {
	if err := s.watch("Load"); err != nil {
		return fulfilment.Record{}, err
	}
	return s.Store.Load(ctx, runID)
}

func (s watchedStore) Unfinished(ctx context.Context) ([]fulfilment.Record, error) {
	if err := s.watch("Unfinished"); err != nil {
		return nil, err
	}
	return s.Store.Unfinished(ctx)
}

func (s watchedStore) Outbox(ctx context.Context, limit int) ([]fulfilment.OutboxEvent, error) {
	if err := s.watch("Outbox"); err != nil {
		return nil, err
	}
	return s.Store.Outbox(ctx, limit)
}

func (s watchedStore) DeleteOutboxEvent(ctx context.Context, id int64) error {
	if err := s.watch("DeleteOutboxEvent"); err != nil {
		return err
	}
	return s.Store.DeleteOutboxEvent(ctx, id)
}

type watchedStreamer struct {
	fulfilment.EventStreamer
	watch watch
}

func (s watchedStreamer) NewSender(ctx context.Context, topic string) (fulfilment.EventSender, error) {
	if err := s.watch("NewSender"); err != nil {
		return nil, err
	}
	sender, err := s.EventStreamer.NewSender(ctx, topic)
	return watchedSender{sender, s.watch}, err
}

func (s watchedStreamer) NewReceiver(ctx context.Context, topic, name string, opts ...fulfilment.ReceiverOption) (fulfilment.EventReceiver, error) {
	if err := s.watch("NewReceiver"); err != nil {
		return nil, err
	}
	receiver, err := s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
	return watchedReceiver{receiver, s.watch}, err
}

type watchedSender struct {
	fulfilment.EventSender
	watch watch
}

func (s watchedSender) Send(ctx context.Context, foreignID string, statusType int, headers map[fulfilment.Header]string) error {
	if err := s.watch("Send"); err != nil {
		return err
	}
	return s.EventSender.Send(ctx, foreignID, statusType, headers)
}

func (s watchedSender) Close() error {
	return errors.Join(s.watch("Close"), s.EventSender.Close())
}

type watchedReceiver struct {
	fulfilment.EventReceiver
	watch watch
}

func (r watchedReceiver) Recv(ctx context.Context) (*fulfilment.Event, fulfilment.Ack, error) {
	if err := r.watch("Recv"); err != nil {
		return nil, nil, err
	}
	event, ack, err := r.EventReceiver.Recv(ctx)
	return event, func() error {
		if err := r.watch("Ack"); err != nil {
			return err
		}
		return ack()
	}, err
}

func (r watchedReceiver) Close() error {
	return errors.Join(r.watch("Close"), r.EventReceiver.Close())
}
