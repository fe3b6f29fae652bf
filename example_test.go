package memstreamer_test

import (
	"context"
	"fmt"

	"github.com/memstreamer/memstreamer"
)

func ExampleNew() {
	ctx := context.Background()
	streamer := memstreamer.New()
	defer streamer.Close()

	receiver, err := streamer.NewReceiver(ctx, "orders", "ship")
	if err != nil {
		panic(err)
	}
	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		panic(err)
	}
	if err := sender.Send(ctx, "order-7", 3, nil); err != nil {
		panic(err)
	}

	event, ack, err := receiver.Recv(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(event.ID, event.ForeignID, event.Type)
	// Until it is acked, the event comes again.
	if err := ack(); err != nil {
		panic(err)
	}
	// Output: 1 order-7 3
}

// engineStreamer stands for the interface of an engine that has types of its
// own, as workflow.EventStreamer does.
func ExampleAs() {
	ctx := context.Background()
	var streamer engineStreamer = memstreamer.As[engineStreamer](memstreamer.New())

	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		panic(err)
	}
	if err := sender.Send(ctx, "order-7", 3, map[engineHeader]string{"run_id": "a1"}); err != nil {
		panic(err)
	}
	receiver, err := streamer.NewReceiver(ctx, "orders", "ship")
	if err != nil {
		panic(err)
	}
	event, _, err := receiver.Recv(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%T %s", event, event.Headers["run_id"])
	// Output: *enginetest.Event a1
}

func ExampleStreamFromLatest() {
	ctx := context.Background()
	streamer := memstreamer.New()
	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		panic(err)
	}
	send := func(foreignID string) {
		if err := sender.Send(ctx, foreignID, 1, nil); err != nil {
			panic(err)
		}
	}

	send("before")
	receiver, err := streamer.NewReceiver(ctx, "orders", "alerts", memstreamer.StreamFromLatest())
	if err != nil {
		panic(err)
	}
	send("after")

	event, _, err := receiver.Recv(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(event.ForeignID)
	// Output: after
}

func ExampleNewConnector() {
	ctx := context.Background()
	connector := memstreamer.NewConnector([]memstreamer.ConnectorEvent{
		{ID: "e1", ForeignID: "customer-7", Type: "signed up"},
	})
	consumer, err := connector.Make(ctx, "welcome")
	if err != nil {
		panic(err)
	}
	// Events may be added while consumers wait.
	if err := connector.Append(memstreamer.ConnectorEvent{ID: "e2", ForeignID: "customer-8", Type: "signed up"}); err != nil {
		panic(err)
	}

	for range 2 {
		event, ack, err := consumer.Recv(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Println(event.ID, event.Type, event.ForeignID)
		if err := ack(); err != nil {
			panic(err)
		}
	}
	// Output:
	// e1 signed up customer-7
	// e2 signed up customer-8
}
