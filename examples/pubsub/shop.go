package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

const (
	customers = 100
	lanes     = 16
	declined  = "declined" // the poison queue
)

// PlaceOrder is a command.
type PlaceOrder struct {
	Number   int
	Customer string
	Cents    int
}

// OrderPlaced and OrderCharged are events.
type (
	OrderPlaced  PlaceOrder
	OrderCharged PlaceOrder
)

func newOrder(i int) *PlaceOrder {
	return &PlaceOrder{Number: i, Customer: fmt.Sprintf("customer-%02d", i%customers), Cents: 100 + i}
}

var (
	errTimeout  = errors.New("the bank did not answer")
	errDeclined = errors.New("the card was declined")
)

// steps are the handlers, which are consumer groups under these names.
var steps = []string{"place", "charge", "notify", "ship", declined}

// shop is the handlers of the orders, on one streamer.
type shop struct {
	streamer *memstreamer.StreamConstructor
	router   *message.Router
	commands *cqrs.CommandBus
	events   *cqrs.EventBus
	orders   int
	done     chan struct{} // closed when every order is shipped or declined

	mu         sync.Mutex
	handled    map[string]int // by step
	failed     map[string]int
	outOfOrder map[string]int
	lastCharge map[string]int // by customer
}

func newShop(orders int) (*shop, error) {
	s := &shop{
		streamer:   memstreamer.New(),
		router:     message.NewDefaultRouter(nil),
		orders:     orders,
		done:       make(chan struct{}),
		handled:    make(map[string]int),
		failed:     make(map[string]int),
		outOfOrder: make(map[string]int),
		lastCharge: make(map[string]int),
	}
	publisher, err := s.pubSub(memwatermill.Config{})
	if err != nil {
		return nil, err
	}
	return s, errors.Join(s.addMiddleware(publisher), s.addBuses(publisher), s.addHandlers())
}

func (s *shop) pubSub(config memwatermill.Config) (*memwatermill.PubSub, error) {
	return memwatermill.NewPubSub(s.streamer, config, s.router.Logger())
}

// subscriber returns a PubSub of its own for each step: the Router closes it when
// the step's handler ends.
func (s *shop) subscriber(step string) (message.Subscriber, error) {
	config := memwatermill.Config{ConsumerGroup: step}
	if step == "charge" {
		config.Lanes = lanes
		config.LaneKey = func(m *message.Message) string { return m.Metadata.Get("customer") }
	}
	return s.pubSub(config)
}

// addMiddleware has a handler that fails tried again twice, and then put its
// message into the poison queue. Every try is counted.
func (s *shop) addMiddleware(publisher message.Publisher) error {
	poison, err := middleware.PoisonQueue(publisher, declined)
	if err != nil {
		return err
	}
	retry := middleware.Retry{MaxRetries: 2, InitialInterval: time.Millisecond}
	s.router.AddMiddleware(poison, retry.Middleware, s.counted)
	return nil
}

func (s *shop) counted(handler message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		produced, err := handler(m)
		s.count(message.HandlerNameFromCtx(m.Context()), err)
		return produced, err
	}
}

func (s *shop) count(step string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed[step]++
		return
	}
	s.handled[step]++
	ends := step == "ship" || step == declined || step == "notify"
	if ends && s.handled["ship"]+s.handled[declined] == s.orders && s.handled["notify"] == s.orders {
		close(s.done)
	}
}

var marshaler = cqrs.JSONMarshaler{GenerateName: cqrs.StructName}

func (s *shop) addBuses(publisher message.Publisher) (err error) {
	s.commands, err = cqrs.NewCommandBusWithConfig(publisher, cqrs.CommandBusConfig{
		GeneratePublishTopic: func(p cqrs.CommandBusGeneratePublishTopicParams) (string, error) { return p.CommandName, nil },
		Marshaler:            marshaler,
	})
	if err != nil {
		return err
	}
	s.events, err = cqrs.NewEventBusWithConfig(publisher, cqrs.EventBusConfig{
		GeneratePublishTopic: func(p cqrs.GenerateEventPublishTopicParams) (string, error) { return p.EventName, nil },
		Marshaler:            marshaler,
		OnPublish: func(p cqrs.OnEventSendParams) error {
			if e, ok := p.Event.(*OrderPlaced); ok {
				p.Message.Metadata.Set("customer", e.Customer)
			}
			return nil
		},
	})
	return err
}

func (s *shop) addHandlers() error {
	commands, err := cqrs.NewCommandProcessorWithConfig(s.router, cqrs.CommandProcessorConfig{
		GenerateSubscribeTopic: func(p cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) { return p.CommandName, nil },
		SubscriberConstructor: func(p cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return s.subscriber(p.HandlerName)
		},
		Marshaler: marshaler,
	})
	if err != nil {
		return err
	}
	events, err := cqrs.NewEventProcessorWithConfig(s.router, cqrs.EventProcessorConfig{
		GenerateSubscribeTopic: func(p cqrs.EventProcessorGenerateSubscribeTopicParams) (string, error) { return p.EventName, nil },
		SubscriberConstructor: func(p cqrs.EventProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return s.subscriber(p.HandlerName)
		},
		Marshaler: marshaler,
	})
	if err != nil {
		return err
	}
	poisoned, err := s.subscriber(declined)
	if err != nil {
		return err
	}
	s.router.AddConsumerHandler(declined, declined, poisoned, func(*message.Message) error { return nil })
	return errors.Join(
		commands.AddHandlers(cqrs.NewCommandHandler("place", s.place)),
		events.AddHandlers(
			cqrs.NewEventHandler("charge", s.charge),
			cqrs.NewEventHandler("notify", func(context.Context, *OrderPlaced) error { return nil }),
			cqrs.NewEventHandler("ship", func(context.Context, *OrderCharged) error { return nil }),
		),
	)
}

func (s *shop) place(ctx context.Context, order *PlaceOrder) error {
	return s.events.Publish(ctx, (*OrderPlaced)(order))
}

// charge takes 2 ms. The bank does not answer the first try for one order in
// ten, and declines the card for one in fifty, at every try.
func (s *shop) charge(ctx context.Context, order *OrderPlaced) error {
	time.Sleep(2 * time.Millisecond)
	first := s.try(order)
	switch {
	case order.Number%50 == 7:
		return errDeclined
	case order.Number%10 == 3 && first:
		return errTimeout
	}
	return s.events.Publish(ctx, (*OrderCharged)(order))
}

// try notes that the order is charged, and reports whether for the first time.
func (s *shop) try(order *OrderPlaced) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.lastCharge[order.Customer]
	if order.Number < last {
		s.outOfOrder["charge"]++
	}
	s.lastCharge[order.Customer] = order.Number
	return order.Number != last
}

func (s *shop) close() { _ = s.streamer.Close() }
