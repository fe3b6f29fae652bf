package streamertest

import (
	"context"
	"fmt"
	"sync"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/hooked"
)

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
	return opened(func(ctx context.Context, s *streamer, topic, name string, asked bool) (memstreamer.EventReceiver, error) {
		_, again := s.Memory.LoadOrStore(topic+name, true)
		return s.OpenReceiver(ctx, topic, fmt.Sprint(name, s.Count.Add(1)), from(asked || latest && again)...)
	})
}

// cursorFaults break the contract's fourth line, cursors.
var cursorFaults = []fault{
	{
		"CursorPerTopicAndName", "has one cursor for a name on all topics", `not event "invoice 0"`,
		hooks{
			Recv: hooked.Pass(func(r *receiver, e *event) bool {
				newest, known := r.Streamer.Memory.Load(r.Name)
				return known && e.ID < newest.(int64)
			}),
			Ack: func(d *delivery) error {
				d.Receiver.Streamer.Memory.Store(d.Receiver.Name, d.Event.ID)
				return d.Commit()
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
			Recv: func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
				if holder, held := r.Streamer.Memory.LoadOrStore(r.Topic+r.Name, r); held && holder != r {
					<-ctx.Done()
					return nil, nil, ctx.Err()
				}
				return r.EventReceiver.Recv(ctx)
			},
			Ack: func(d *delivery) error {
				d.Receiver.Streamer.Memory.Delete(d.Receiver.Topic + d.Receiver.Name)
				return d.Commit()
			},
		},
	},
}

// latestFaults break the fifth line, StreamFromLatest.
var latestFaults = []fault{
	{
		"StreamFromLatestSkipsOlder", "ignores the option", `event "old"`,
		opened(func(ctx context.Context, s *streamer, topic, name string, _ bool) (memstreamer.EventReceiver, error) {
			return s.OpenReceiver(ctx, topic, name)
		}),
	},
	{
		"StreamFromLatestPins", "pins at the first Recv", "has not returned",
		opened(func(ctx context.Context, s *streamer, topic, name string, latest bool) (memstreamer.EventReceiver, error) {
			return &lazyReceiver{open: sync.OnceValues(func() (memstreamer.EventReceiver, error) {
				return s.OpenReceiver(s.Life, topic, name, from(latest)...)
			})}, nil
		}),
	},
	{
		"StreamFromLatestOnEmptyTopic", "takes the first event for an older one", `event "second", not event "first"`,
		hooks{
			Send: func(ctx context.Context, s *sender, e outgoing) error {
				s.Streamer.Memory.Store(s.Topic, true)
				return s.Pass(ctx, e)
			},
			NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
				r, err := s.OpenReceiver(ctx, topic, name, opts...)
				if _, sent := s.Memory.Load(topic); err == nil && !sent {
					r.(*receiver).Memory.Store("first", true)
				}
				return r, err
			},
			Recv: hooked.Pass(func(r *receiver, _ *event) bool {
				_, first := r.Memory.LoadAndDelete("first")
				return first
			}),
		},
	},
	{
		"StreamFromLatestResumes", "skips to the latest each time it is asked", "has not returned",
		opened(func(ctx context.Context, s *streamer, topic, name string, latest bool) (memstreamer.EventReceiver, error) {
			r, err := s.OpenReceiver(ctx, topic, name, from(latest)...)
			for latest && err == nil {
				_, ack, nothing := r.(*receiver).Poll(ctx)
				if nothing != nil {
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
			NewReceiver: func(ctx context.Context, s *streamer, topic, name string, opts options) (memstreamer.EventReceiver, error) {
				acked, _ := s.Memory.LoadOrStore(topic+name, fmt.Sprint(name, s.Count.Add(1)))
				r, err := s.OpenReceiver(ctx, topic, acked.(string), opts...)
				if err == nil {
					r.(*receiver).Memory.Store("forget", topic+name)
				}
				return r, err
			},
			Ack: func(d *delivery) error {
				d.Receiver.Memory.Delete("forget")
				return d.Commit()
			},
			CloseReceiver: func(r *receiver) error {
				if key, unacked := r.Memory.Load("forget"); unacked {
					r.Streamer.Memory.Delete(key)
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
