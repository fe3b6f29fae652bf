package streamertest

import (
	"context"
	"fmt"
	"sync"

	"github.com/memstreamer/memstreamer"
)

// opened replaces what NewReceiver does.
func opened(open func(s *wrapped, ctx context.Context, topic, name string, latest bool) (memstreamer.EventReceiver, error)) hooks {
	return hooks{newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
		var o memstreamer.ReceiverOptions
		for _, opt := range opts {
			opt(&o)
		}
		return open(s, ctx, topic, name, o.StreamFromLatest)
	}}
}

// from returns the options of a receiver that starts at the latest, or not.
func from(latest bool) options {
	if latest {
		return options{memstreamer.StreamFromLatest()}
	}
	return nil
}

// renewed has each receiver read at a cursor of its own, made at the latest, or
// not, where that is the streamer's first one of that name or latest says so.
func renewed(latest bool) hooks {
	return opened(func(s *wrapped, ctx context.Context, topic, name string, asked bool) (memstreamer.EventReceiver, error) {
		_, again := s.memory.LoadOrStore(topic+name, true)
		return s.receiver(ctx, topic, fmt.Sprint(name, s.count.Add(1)), from(asked || latest && again))
	})
}

// cursorFaults break the contract's fourth line, cursors.
var cursorFaults = []fault{
	{
		"CursorPerTopicAndName", "has one cursor for a name on all topics", `not event "invoice 0"`,
		hooks{
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				e, ack, err := r.EventReceiver.Recv(ctx)
				newest, known := r.streamer.memory.Load(r.name)
				if err == nil && known && e.ID < newest.(int64) {
					_ = ack()
					return r.Recv(ctx)
				}
				return e, ack, err
			},
			ack: func(d *delivery) error {
				d.receiver.streamer.memory.Store(d.receiver.name, d.event.ID)
				return d.commit()
			},
		},
	},
	{
		"CursorPerTopicAndName", "has one cursor for all names on a topic", "has not returned",
		named(same, func(string) string { return "of all" }),
	},
	{
		"CursorSurvivesClose", "starts each receiver at the oldest", `event "first", not event "second"`,
		renewed(false),
	},
	{
		"CursorSurvivesClose", "starts each receiver but the first at the latest", "has not returned",
		renewed(true),
	},
	{
		"SharedCursor", "gives each receiver its own cursor", `event "first", not event "second"`,
		renewed(false),
	},
	{
		"SharedCursor", "delivers to one receiver of a name until the Ack", "has not returned",
		hooks{
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				if holder, held := r.streamer.memory.LoadOrStore(r.topic+r.name, r); held && holder != r {
					<-ctx.Done()
					return nil, nil, ctx.Err()
				}
				return r.EventReceiver.Recv(ctx)
			},
			ack: func(d *delivery) error {
				d.receiver.streamer.memory.Delete(d.receiver.topic + d.receiver.name)
				return d.commit()
			},
		},
	},
}

// latestFaults break the fifth line, StreamFromLatest.
var latestFaults = []fault{
	{
		"StreamFromLatestSkipsOlder", "ignores the option", `event "old"`,
		opened(func(s *wrapped, ctx context.Context, topic, name string, _ bool) (memstreamer.EventReceiver, error) {
			return s.receiver(ctx, topic, name, nil)
		}),
	},
	{
		"StreamFromLatestPins", "pins at the first Recv", "has not returned",
		opened(func(s *wrapped, ctx context.Context, topic, name string, latest bool) (memstreamer.EventReceiver, error) {
			return &lazyReceiver{open: sync.OnceValues(func() (memstreamer.EventReceiver, error) {
				return s.receiver(s.life, topic, name, from(latest))
			})}, nil
		}),
	},
	{
		"StreamFromLatestOnEmptyTopic", "takes the first event for an older one", `event "second", not event "first"`,
		hooks{
			send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
				s.streamer.memory.Store(s.topic, true)
				return s.EventSender.Send(ctx, foreignID, statusType, h)
			},
			newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
				r, err := s.receiver(ctx, topic, name, opts)
				if _, sent := s.memory.Load(topic); err == nil && !sent {
					r.(*wrappedReceiver).memory.Store("first", true)
				}
				return r, err
			},
			recv: func(r *wrappedReceiver, ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
				e, ack, err := r.EventReceiver.Recv(ctx)
				if _, first := r.memory.LoadAndDelete("first"); err == nil && first {
					_ = ack()
					return r.EventReceiver.Recv(ctx)
				}
				return e, ack, err
			},
		},
	},
	{
		"StreamFromLatestResumes", "skips to the latest each time it is asked", "has not returned",
		opened(func(s *wrapped, ctx context.Context, topic, name string, latest bool) (memstreamer.EventReceiver, error) {
			r, err := s.receiver(ctx, topic, name, from(latest))
			for latest && err == nil {
				e, ack := r.(*wrappedReceiver).poll()
				if e == nil {
					break
				}
				_ = ack()
			}
			return r, err
		}),
	},
	{
		"StreamFromLatestResumes", "forgets a cursor that was never acked", "has not returned",
		hooks{
			newReceiver: func(s *wrapped, ctx context.Context, topic, name string, opts options) (memstreamer.EventReceiver, error) {
				acked, _ := s.memory.LoadOrStore(topic+name, fmt.Sprint(name, s.count.Add(1)))
				r, err := s.receiver(ctx, topic, acked.(string), opts)
				if err == nil {
					r.(*wrappedReceiver).memory.Store("forget", topic+name)
				}
				return r, err
			},
			ack: func(d *delivery) error {
				d.receiver.memory.Delete("forget")
				return d.commit()
			},
			closeReceiver: func(r *wrappedReceiver) error {
				if key, unacked := r.memory.Load("forget"); unacked {
					r.streamer.memory.Delete(key)
				}
				return r.EventReceiver.Close()
			},
		},
	},
}

// lazyReceiver is made by its first Recv.
type lazyReceiver struct {
	open func() (memstreamer.EventReceiver, error)
}

func (r *lazyReceiver) Recv(ctx context.Context) (*memstreamer.Event, memstreamer.Ack, error) {
	inner, err := r.open()
	if err != nil {
		return nil, nil, err
	}
	return inner.Recv(ctx)
}

func (r *lazyReceiver) Close() error {
	inner, err := r.open()
	if err != nil {
		return err
	}
	return inner.Close()
}
