package memstreamer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/memstreamer/memstreamer"
)

// The types of an engine, as its own package declares them.
type (
	WorkflowStreamer interface {
		NewSender(ctx context.Context, topic string) (WorkflowSender, error)
		NewReceiver(ctx context.Context, topic string, name string, opts ...WorkflowOption) (WorkflowReceiver, error)
	}
	WorkflowSender interface {
		Send(ctx context.Context, foreignID string, statusType int, headers map[WorkflowHeader]string) error
		Close() error
	}
	WorkflowReceiver interface {
		Recv(ctx context.Context) (*WorkflowEvent, WorkflowAck, error)
		Close() error
	}
	WorkflowEvent struct {
		ID        int64
		ForeignID string
		Type      int
		Headers   map[WorkflowHeader]string
		CreatedAt time.Time
	}
	WorkflowAck     func() error
	WorkflowHeader  string
	WorkflowOption  func(*WorkflowOptions)
	WorkflowOptions struct {
		PollFrequency    time.Duration
		StreamFromLatest bool
	}
)

// As gives an engine a streamer in the engine's own types.
func ExampleAs() {
	ctx := context.Background()
	var streamer WorkflowStreamer = memstreamer.As[WorkflowStreamer](memstreamer.New())

	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, "order-7", 3, map[WorkflowHeader]string{"run_id": "a1"}); err != nil {
		log.Fatal(err)
	}
	receiver, err := streamer.NewReceiver(ctx, "orders", "ship")
	if err != nil {
		log.Fatal(err)
	}
	var event *WorkflowEvent
	event, ack, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ForeignID, event.Headers["run_id"])
	if err := ack(); err != nil {
		log.Fatal(err)
	}
	// Output: order-7 a1
}
