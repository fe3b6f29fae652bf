package memstreamer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
)

func ExampleNew() {
	ctx := context.Background()
	streamer := memstreamer.New()
	defer streamer.Close()

	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, "order-7", 3, nil); err != nil {
		log.Fatal(err)
	}

	receiver, err := streamer.NewReceiver(ctx, "orders", "ship")
	if err != nil {
		log.Fatal(err)
	}
	event, ack, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ID, event.ForeignID, event.Type)
	if err := ack(); err != nil { // until then, the event comes again
		log.Fatal(err)
	}
	// Output: 1 order-7 3
}

// A step receives until its context ends, and leaves an event that it could not
// handle un-acked, to get it again.
func ExampleEventReceiver() {
	streamer := memstreamer.New()
	defer streamer.Close()

	handled := make(chan string)
	failed := false
	handle := func(event *memstreamer.Event) error {
		if !failed {
			failed = true
			return errors.New("the printer is out of paper")
		}
		handled <- event.ForeignID
		return nil
	}

	consume := func(ctx context.Context, topic, name string) error {
		receiver, err := streamer.NewReceiver(ctx, topic, name)
		if err != nil {
			return err
		}
		defer receiver.Close()
		for {
			event, ack, err := receiver.Recv(ctx)
			if err != nil {
				return err
			}
			if err := handle(event); err != nil {
				fmt.Println("again:", err)
				select { // back off, unless ctx ends
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
				continue
			}
			if err := ack(); err != nil {
				return err
			}
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	var steps sync.WaitGroup
	steps.Go(func() {
		if err := consume(ctx, "orders", "print"); !errors.Is(err, context.Canceled) {
			log.Print(err)
		}
	})

	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, "order-7", 1, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println("printed:", <-handled)
	stop()
	steps.Wait()
	// Output:
	// again: the printer is out of paper
	// printed: order-7
}

func ExampleStreamFromLatest() {
	ctx := context.Background()
	streamer := memstreamer.New()
	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	send := func(foreignID string) {
		if err := sender.Send(ctx, foreignID, 1, nil); err != nil {
			log.Fatal(err)
		}
	}

	send("before")
	receiver, err := streamer.NewReceiver(ctx, "orders", "alerts", memstreamer.StreamFromLatest())
	if err != nil {
		log.Fatal(err)
	}
	send("after")

	event, _, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ForeignID)
	// Output: after
}

// With retention, an event stays until it is old and every name has acked it.
// Stats shows what holds it.
func ExampleWithRetention() {
	ctx := context.Background()
	streamer := memstreamer.New(memstreamer.WithRetention(10 * time.Millisecond))
	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	receiver, err := streamer.NewReceiver(ctx, "orders", "ship")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, "order-7", 1, nil); err != nil {
		log.Fatal(err)
	}
	_, ack, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}

	time.Sleep(20 * time.Millisecond)
	stats := streamer.Stats()
	for _, r := range stats.Receivers {
		late := time.Since(r.OldestUnacked) > 10*time.Millisecond
		fmt.Printf("%s of %s: lag %d, delivered %d times, late: %t\n", r.Name, r.Topic, r.Lag, r.Deliveries, late)
	}
	if err := ack(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("kept:", stats.Topics[0].Retained, "then", streamer.Stats().Topics[0].Retained)
	// Output:
	// ship of orders: lag 1, delivered 1 times, late: true
	// kept: 1 then 0
}

func ExampleNewConnector() {
	ctx := context.Background()
	connector := memstreamer.NewConnector([]memstreamer.ConnectorEvent{
		{ID: "e1", ForeignID: "customer-7", Type: "signed up"},
	})
	defer connector.Close()
	consumer, err := connector.Make(ctx, "welcome")
	if err != nil {
		log.Fatal(err)
	}
	// Events may be added while consumers wait.
	if err := connector.Append(memstreamer.ConnectorEvent{ID: "e2", ForeignID: "customer-8", Type: "signed up"}); err != nil {
		log.Fatal(err)
	}

	for range 2 {
		event, ack, err := consumer.Recv(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.ID, event.Type, event.ForeignID)
		if err := ack(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// e1 signed up customer-7
	// e2 signed up customer-8
}
