// Package memwatermill is a [Watermill] Pub/Sub on a memstreamer. It keeps messages
// and their order, and has consumer groups.
//
//	pubSub, err := memwatermill.NewPubSub(memstreamer.New(), memwatermill.Config{}, logger)
//
// A topic is a log. Publish appends to it and never waits for a subscriber. Each
// consumer group has a position on it, and so has each subscription without a group.
// One message is in flight at a time; the next is delivered when it is acked. With
// [Config.Lanes] a group handles several messages at once and keeps the order of those
// with the same key. Topic names that end like #3/16 are reserved for the lanes.
//
// It runs on any [memstreamer.EventStreamer]. In memory, messages live as long as the
// streamer. On a file or on JetStream, a group resumes after a restart.
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
// A program may make many on one streamer: one for each group, or one for each
// handler of a Router, which closes the PubSub of a handler that ends. Subscribers of
// one group share its position and its order, whichever PubSub they come from.
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

// NewPubSub returns a PubSub on streamer, which the caller closes. A nil logger logs
// nothing. It fails if streamer is nil, if config is invalid, and if streamer cannot be
// compared by ==: that is how the groups of different streamers are told apart.
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

// Publish appends messages to topic, in order, each with its own context. It does not
// wait for subscribers. An error names the message that was not appended; those before
// it were appended, and those after it were not.
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

// Subscribe returns a channel of the messages of topic. Each must be acked or nacked.
// After that its context is done and the next message is delivered. A nacked message is
// delivered again after [Config.NackDelay].
//
// With a [Config.ConsumerGroup] the subscription shares the messages of its group, and
// resumes at the group's position. Without one it gets all messages, and its position is
// forgotten when it ends.
//
// The subscription ends with ctx and with Close. It then waits up to
// [Config.CloseTimeout] for messages that are being handled, and closes the channel. It
// also ends when the streamer is closed and nothing is being handled.
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

// SubscribeInitialize makes the consumer group's position on topic, if it has none.
// Messages that are published from then on wait for the group, also with
// [Config.StreamFromLatest]. Without a group it does nothing.
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

// Close ends delivery, waits up to [Config.CloseTimeout] for messages that are being
// handled to be acked or nacked, and closes the channels of all subscriptions. A message
// that is not acked by then is delivered to the next subscriber of its group. Publish
// works while Close waits, since a handler may need it to finish; Close waits for no
// Publish. The streamer stays open.
//
// Close may be called again and always returns nil. A handler must not call it: it
// would wait for itself.
func (p *PubSub) Close() error {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.subscriptions.Wait()
	p.closed.Store(true)
	return nil
}
