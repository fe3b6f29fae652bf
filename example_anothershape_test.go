package memstreamer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/memstreamer/memstreamer"
)

// An engine whose event has a field more and a tag: As does not compile for it.
type (
	Message struct {
		ID        int64 `json:"id"`
		ForeignID string
		Type      int
		Headers   map[string]string
		CreatedAt time.Time
		Trace     string
	}
	MessageReceiver interface {
		Recv(ctx context.Context) (*Message, func() error, error)
		Close() error
	}
	MessageSender interface {
		Send(ctx context.Context, m Message) error
		Close() error
	}
)

// Messages is the streamer in that engine's types. What the contract has no field
// for travels as a header.
type Messages struct{ streamer memstreamer.EventStreamer }

func (m Messages) NewSender(ctx context.Context, topic string) (MessageSender, error) {
	s, err := m.streamer.NewSender(ctx, topic)
	if err != nil {
		return nil, err // not a MessageSender around nil
	}
	return messageSender{s}, nil
}

func (m Messages) NewReceiver(ctx context.Context, topic, name string) (MessageReceiver, error) {
	r, err := m.streamer.NewReceiver(ctx, topic, name)
	if err != nil {
		return nil, err
	}
	return messageReceiver{r}, nil
}

type messageSender struct{ memstreamer.EventSender }

func (s messageSender) Send(ctx context.Context, m Message) error {
	headers := map[memstreamer.Header]string{"trace": m.Trace}
	for name, value := range m.Headers {
		headers[memstreamer.Header(name)] = value
	}
	return s.EventSender.Send(ctx, m.ForeignID, m.Type, headers)
}

type messageReceiver struct{ memstreamer.EventReceiver }

func (r messageReceiver) Recv(ctx context.Context) (*Message, func() error, error) {
	event, ack, err := r.EventReceiver.Recv(ctx)
	if err != nil {
		return nil, nil, err
	}
	m := &Message{ID: event.ID, ForeignID: event.ForeignID, Type: event.Type, CreatedAt: event.CreatedAt}
	m.Trace = event.Headers["trace"]
	delete(event.Headers, "trace")
	m.Headers = make(map[string]string, len(event.Headers))
	for name, value := range event.Headers {
		m.Headers[string(name)] = value
	}
	return m, ack, nil
}

// An engine of another shape takes an adapter written by hand.
func Example_anotherShape() {
	ctx := context.Background()
	messages := Messages{memstreamer.New()}
	sender, err := messages.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, Message{ForeignID: "order-7", Trace: "t-1"}); err != nil {
		log.Fatal(err)
	}
	receiver, err := messages.NewReceiver(ctx, "orders", "ship")
	if err != nil {
		log.Fatal(err)
	}
	message, ack, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.ForeignID, message.Trace, message.Headers)
	if err := ack(); err != nil {
		log.Fatal(err)
	}
	// Output: order-7 t-1 map[]
}
