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

// shop is the handlers of the orders, on one streamer.
type shop struct {
	streamer *memstreamer.StreamConstructor
	router   *message.Router
	commands *cqrs.CommandBus
	events   *cqrs.EventBus
	orders   int
	done     chan struct{} // closed when every order is shipped or declined

	mu         sync.Mutex
	steps      map[string]*step
	lastCharge map[string]int // by customer
	tried      map[int]bool   // orders of which a charge failed
}

// step counts what one handler did.
type step struct{ handled, failed, outOfOrder int }

func newShop(orders int) (*shop, error) {
	s := &shop{
		streamer:   memstreamer.New(),
		router:     message.NewDefaultRouter(nil),
		orders:     orders,
		done:       make(chan struct{}),
		steps:      make(map[string]*step),
		lastCharge: make(map[string]int),
		tried:      make(map[int]bool),
	}
	for _, name := range []string{"place", "charge", "notify", "ship", declined} {
		s.steps[name] = &step{}
	}
	return s, errors.Join(s.addMiddleware(), s.addBuses(), s.addHandlers())
}

// publisher and subscriber return a PubSub each time: the Router closes those of
// a handler when that ends.
func (s *shop) publisher() (message.Publisher, error) {
	return memwatermill.NewPubSub(s.streamer, memwatermill.Config{}, s.router.Logger())
}

func (s *shop) subscriber(group string) (message.Subscriber, error) {
	config := memwatermill.Config{ConsumerGroup: group}
	if group == "charge" {
		config.Lanes = lanes
		config.LaneKey = func(m *message.Message) string { return m.Metadata.Get("customer") }
	}
	return memwatermill.NewPubSub(s.streamer, config, s.router.Logger())
}

// addMiddleware has a handler that fails tried again twice, and then put its
// message into the poison queue.
func (s *shop) addMiddleware() error {
	publisher, err := s.publisher()
	if err != nil {
		return err
	}
	poison, err := middleware.PoisonQueue(publisher, declined)
	if err != nil {
		return err
	}
	retry := middleware.Retry{MaxRetries: 2, InitialInterval: time.Millisecond}
	s.router.AddMiddleware(poison, retry.Middleware)
	return nil
}

var marshaler = cqrs.JSONMarshaler{GenerateName: cqrs.StructName}

func (s *shop) addBuses() error {
	publisher, err := s.publisher()
	if err != nil {
		return err
	}
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
	s.router.AddConsumerHandler(declined, declined, poisoned, func(*message.Message) error {
		s.count(declined)
		return nil
	})
	return errors.Join(
		commands.AddHandlers(cqrs.NewCommandHandler("place", s.place)),
		events.AddHandlers(
			cqrs.NewEventHandler("charge", s.charge),
			cqrs.NewEventHandler("notify", s.notify),
			cqrs.NewEventHandler("ship", s.ship),
		),
	)
}

func (s *shop) place(ctx context.Context, order *PlaceOrder) error {
	s.count("place")
	placed := OrderPlaced(*order)
	return s.events.Publish(ctx, &placed)
}

// charge takes 2 ms. The bank does not answer the first try for one order in
// ten, and declines the card for one in fifty, at every try.
func (s *shop) charge(ctx context.Context, order *OrderPlaced) error {
	time.Sleep(2 * time.Millisecond)
	if err := s.tryCharge(order); err != nil {
		return err
	}
	s.count("charge")
	charged := OrderCharged(*order)
	return s.events.Publish(ctx, &charged)
}

func (s *shop) tryCharge(order *OrderPlaced) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	step := s.steps["charge"]
	if order.Number < s.lastCharge[order.Customer] {
		step.outOfOrder++
	}
	s.lastCharge[order.Customer] = order.Number
	first := !s.tried[order.Number]
	s.tried[order.Number] = true
	switch {
	case order.Number%50 == 7:
		step.failed++
		return errDeclined
	case order.Number%10 == 3 && first:
		step.failed++
		return errTimeout
	}
	return nil
}

func (s *shop) notify(context.Context, *OrderPlaced) error {
	s.count("notify")
	return nil
}

func (s *shop) ship(context.Context, *OrderCharged) error {
	s.count("ship")
	return nil
}

// count counts a message that a step has handled.
func (s *shop) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps[name].handled++
	ends := name == "ship" || name == declined || name == "notify"
	if ends && s.steps["ship"].handled+s.steps[declined].handled == s.orders && s.steps["notify"].handled == s.orders {
		close(s.done)
	}
}

func (s *shop) close() { _ = s.streamer.Close() }
