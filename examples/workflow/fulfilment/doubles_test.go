package fulfilment_test

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// nth returns a function that fails the nth call of method.
func nth(n int64, method string) func(string) error {
	var calls atomic.Int64
	return func(called string) error {
		if called == method && calls.Add(1) == n {
			return errTest
		}
		return nil
	}
}

// always returns a function that fails every call of method.
func always(method string) func(string) error {
	return func(called string) error {
		if called == method {
			return errTest
		}
		return nil
	}
}

// countingStore counts how often its outbox is asked for.
type countingStore struct {
	fulfilment.Store
	calls atomic.Int64
}

func (s *countingStore) Outbox(ctx context.Context, limit int) ([]fulfilment.OutboxEvent, error) {
	s.calls.Add(1)
	return s.Store.Outbox(ctx, limit)
}

// failingStore fails the methods that fail says.
type failingStore struct {
	fulfilment.Store
	fail func(method string) error
}

func (s *failingStore) Save(ctx context.Context, record fulfilment.Record, event fulfilment.OutboxEvent) error {
	if err := s.fail("Save"); err != nil {
		return err
	}
	return s.Store.Save(ctx, record, event)
}

func (s *failingStore) Load(ctx context.Context, runID string) (fulfilment.Record, error) {
	if err := s.fail("Load"); err != nil {
		return fulfilment.Record{}, err
	}
	return s.Store.Load(ctx, runID)
}

func (s *failingStore) Unfinished(ctx context.Context) ([]fulfilment.Record, error) {
	if err := s.fail("Unfinished"); err != nil {
		return nil, err
	}
	return s.Store.Unfinished(ctx)
}

func (s *failingStore) Outbox(ctx context.Context, limit int) ([]fulfilment.OutboxEvent, error) {
	if err := s.fail("Outbox"); err != nil {
		return nil, err
	}
	return s.Store.Outbox(ctx, limit)
}

func (s *failingStore) DeleteOutboxEvent(ctx context.Context, id int64) error {
	if err := s.fail("DeleteOutboxEvent"); err != nil {
		return err
	}
	return s.Store.DeleteOutboxEvent(ctx, id)
}

// failingStreamer fails the methods that fail says.
type failingStreamer struct {
	fulfilment.EventStreamer
	fail func(method string) error
}

func (s *failingStreamer) NewSender(ctx context.Context, topic string) (fulfilment.EventSender, error) {
	if err := s.fail("NewSender"); err != nil {
		return nil, err
	}
	sender, err := s.EventStreamer.NewSender(ctx, topic)
	return &failingSender{sender, s.fail}, err
}

func (s *failingStreamer) NewReceiver(ctx context.Context, topic, name string, opts ...fulfilment.ReceiverOption) (fulfilment.EventReceiver, error) {
	if err := s.fail("NewReceiver"); err != nil {
		return nil, err
	}
	receiver, err := s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
	return &failingReceiver{receiver, s.fail}, err
}

type failingSender struct {
	fulfilment.EventSender
	fail func(method string) error
}

func (s *failingSender) Send(ctx context.Context, foreignID string, statusType int, headers map[fulfilment.Header]string) error {
	if err := s.fail("Send"); err != nil {
		return err
	}
	return s.EventSender.Send(ctx, foreignID, statusType, headers)
}

type failingReceiver struct {
	fulfilment.EventReceiver
	fail func(method string) error
}

func (r *failingReceiver) Recv(ctx context.Context) (*fulfilment.Event, fulfilment.Ack, error) {
	if err := r.fail("Recv"); err != nil {
		return nil, nil, err
	}
	event, ack, err := r.EventReceiver.Recv(ctx)
	return event, func() error {
		if err := r.fail("Ack"); err != nil {
			return err
		}
		return ack()
	}, err
}

// recordingStreamer records what was opened, and counts what is open. What it
// holds is read after its engine has stopped.
type recordingStreamer struct {
	fulfilment.EventStreamer

	mu        sync.Mutex
	receivers []string // the name of each that was opened
	open      int      // senders and receivers
}

func (s *recordingStreamer) NewSender(ctx context.Context, topic string) (fulfilment.EventSender, error) {
	sender, err := s.EventStreamer.NewSender(ctx, topic)
	if err != nil {
		return nil, err
	}
	s.count(+1)
	return &recordingSender{sender, s}, nil
}

func (s *recordingStreamer) NewReceiver(ctx context.Context, topic, name string, opts ...fulfilment.ReceiverOption) (fulfilment.EventReceiver, error) {
	receiver, err := s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
	if err != nil {
		return nil, err
	}
	s.count(+1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receivers = append(s.receivers, name)
	return &recordingReceiver{receiver, s}, nil
}

func (s *recordingStreamer) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
}

type recordingSender struct {
	fulfilment.EventSender
	streamer *recordingStreamer
}

func (s *recordingSender) Close() error {
	s.streamer.count(-1)
	return s.EventSender.Close()
}

type recordingReceiver struct {
	fulfilment.EventReceiver
	streamer *recordingStreamer
}

func (r *recordingReceiver) Close() error {
	r.streamer.count(-1)
	return r.EventReceiver.Close()
}
