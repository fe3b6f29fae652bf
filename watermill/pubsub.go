// Package memwatermill is a [Watermill] Pub/Sub on a memstreamer: ordered,
// kept, and with consumer groups.
//
//	pubSub, err := memwatermill.NewPubSub(memstreamer.New(), memwatermill.Config{}, logger)
//
// A topic is a log. Publish appends to it and never waits for a subscriber.
// Every consumer group has a cursor on it, and every subscription without a
// group has one of its own: one message is in flight at a time, and the next
// follows when that is acked. With [Config.Lanes] a group handles several
// messages at once and keeps the order of those with the same key. Names of
// topics that end like #3/16 are kept for the lanes.
//
// Any [memstreamer.EventStreamer] will do. With one in memory, messages live as
// long as it does; on a file or on JetStream, a group goes on after a restart
// where it stopped.
//
// [Watermill]: https://watermill.io
package memwatermill

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
)

// ErrClosed is returned by Publish, Subscribe and SubscribeInitialize after Close,
// and by the latter two if Close is called meanwhile.
var ErrClosed = errors.New("memwatermill: closed")

// PubSub publishes to the topics of one streamer and subscribes to them, as one
// consumer group or as none. Its methods are safe for concurrent use.
//
// A program may make as many as it likes on one streamer: one for each group,
// or one for each handler of a Router, which closes what a handler was given.
// Subscribers of one group share its cursor and its order, whichever PubSub
// they come from.
type PubSub struct {
	streamer streamer
	source   memstreamer.EventStreamer // streamer, in its own types
	config   Config
	logger   watermill.LoggerAdapter

	running context.Context // ends when Close is called
	stop    context.CancelFunc
	closed  atomic.Bool // true when Close returns

	mu            sync.Mutex     // orders begin and stop
	subscriptions sync.WaitGroup // and calls that open one
}

var (
	_ message.Publisher            = (*PubSub)(nil)
	_ message.Subscriber           = (*PubSub)(nil)
	_ message.SubscribeInitializer = (*PubSub)(nil)
)

// NewPubSub returns a PubSub on streamer, which stays the caller's to close. A
// nil logger logs nothing. It fails if streamer is nil, if it cannot be compared by
// ==, which tells the groups of one streamer from those of another, and if config
// is invalid.
func NewPubSub(streamer memstreamer.EventStreamer, config Config, logger watermill.LoggerAdapter) (*PubSub, error) {
	if streamer == nil {
		return nil, errors.New("memwatermill: NewPubSub: the streamer is nil")
	}
	if !reflect.ValueOf(streamer).Comparable() {
		return nil, fmt.Errorf("memwatermill: NewPubSub: a %T cannot be told from another: use a pointer", streamer)
	}
	config.setDefaults()
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("memwatermill: NewPubSub: invalid config: %w", err)
	}
	if logger == nil {
		logger = watermill.NopLogger{}
	}
	p := &PubSub{
		streamer: view(streamer),
		source:   streamer,
		config:   config,
		logger:   logger.With(watermill.LogFields{"consumer_group": config.ConsumerGroup}),
	}
	p.running, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Publish appends messages to topic, in order and each with the context of its
// own. It does not wait for subscribers. On an error it names the message that
// was not appended; those before it were, and those after it were not.
func (p *PubSub) Publish(topic string, messages ...*message.Message) error {
	if p.closed.Load() {
		return ErrClosed
	}
	if len(messages) == 0 {
		return nil
	}
	if err := refuseLane(topic); err != nil {
		return fmt.Errorf("memwatermill: Publish: %w", err)
	}
	s, err := p.streamer.NewSender(context.Background(), topic)
	if err != nil {
		return fmt.Errorf("memwatermill: Publish: %w", err)
	}
	defer s.Close()
	for i, m := range messages {
		if m == nil {
			return fmt.Errorf("memwatermill: Publish: message %d of %d is nil", i+1, len(messages))
		}
		if err := send(m.Context(), s, m); err != nil {
			return fmt.Errorf("memwatermill: Publish: message %d of %d, %q: %w", i+1, len(messages), m.UUID, err)
		}
	}
	return nil
}

// Subscribe returns a channel of the messages of topic. Each has to be acked or
// nacked, after which its context is done and the next one comes; a nacked one
// comes again, after [Config.NackDelay].
//
// With a [Config.ConsumerGroup] the subscription shares the messages of its
// group, and goes on where that stopped. Without one it gets all of them, and
// what it had not acked at its end is forgotten.
//
// The subscription ends with ctx and with Close. It waits then for what is being
// handled, up to [Config.CloseTimeout], and closes the channel. It also ends when
// the streamer is closed and nothing is being handled.
func (p *PubSub) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	var s *subscription
	err := p.begin("Subscribe", topic, func() (err error) {
		if s, err = p.open(ctx, topic); err == nil {
			p.subscriptions.Go(s.run)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.out, nil
}

// SubscribeInitialize makes the cursor of the consumer group on topic, if it has
// none yet. Messages that are published from then on wait for the group also
// with [Config.StreamFromLatest]. Without a group it makes none.
func (p *PubSub) SubscribeInitialize(topic string) error {
	return p.begin("SubscribeInitialize", topic, func() error {
		if p.config.ConsumerGroup == "" {
			return nil
		}
		r, err := p.streamer.NewReceiver(p.running, topic, p.config.ConsumerGroup, p.config.start)
		if err != nil {
			return err
		}
		return r.Close()
	})
}

// begin calls open, for which Close waits, and returns its error with the name of
// the method, or ErrClosed if p is closed meanwhile.
func (p *PubSub) begin(method, topic string, open func() error) error {
	p.mu.Lock()
	if p.running.Err() != nil {
		p.mu.Unlock()
		return ErrClosed
	}
	p.subscriptions.Add(1)
	p.mu.Unlock()
	defer p.subscriptions.Done()
	err := refuseLane(topic)
	if err == nil {
		err = open()
	}
	switch {
	case err == nil:
		return nil
	case p.running.Err() != nil:
		return ErrClosed
	}
	return fmt.Errorf("memwatermill: %s: %w", method, err)
}

// Close delivers nothing more, waits up to [Config.CloseTimeout] until the
// messages that are being handled are acked or nacked, and closes the channels
// of all subscriptions. What was not acked by then is delivered to the next
// subscriber of its group. Publish goes on to work while Close waits, since a
// handler may need it to finish; Close waits for no Publish. The streamer stays
// open.
//
// It may be called again, and returns nil. A handler must not call it: it would
// wait for itself.
func (p *PubSub) Close() error {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.subscriptions.Wait()
	p.closed.Store(true)
	return nil
}
