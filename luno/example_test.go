package luno_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/luno"
)

type Order struct{ Parcel string }

type Status int

const (
	Placed Status = iota + 1
	Packed
	Shipped
)

func (s Status) String() string { return [...]string{"unknown", "placed", "packed", "shipped"}[s] }

func pack(ctx context.Context, r *workflow.Run[Order, Status]) (Status, error) {
	r.Object.Parcel = "parcel of " + r.ForeignID
	return Packed, nil
}

func ship(ctx context.Context, r *workflow.Run[Order, Status]) (Status, error) {
	return Shipped, nil
}

// Await finds a run that has finished, and leaves no consumer behind.
func ExampleStreamer() {
	ctx := context.Background()
	streamer := memstreamer.New(memstreamer.WithRetention(24 * time.Hour))
	defer streamer.Close()

	b := workflow.NewBuilder[Order, Status]("orders")
	b.AddStep(Placed, pack, Packed)
	b.AddStep(Packed, ship, Shipped)
	w := b.Build(luno.Streamer(streamer), memrecordstore.New(), memrolescheduler.New())
	w.Run(ctx)
	defer w.Stop()

	runID, err := w.Trigger(ctx, "order-7")
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		run, err := w.Await(ctx, "order-7", runID, Shipped)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(run.Object.Parcel, "is", run.Status)
	}
	for _, r := range streamer.Stats().Receivers {
		fmt.Println(r.Name)
	}

	// Output:
	// parcel of order-7 is shipped
	// parcel of order-7 is shipped
	// orders-1-consumer-1-of-1
	// orders-2-consumer-1-of-1
	// orders-delete-consumer
	// orders-paused-records-retry-consumer
}

// The engine sends each event as soon as its record is stored: the polling frequency
// of its outbox does not matter.
func ExampleParkOutbox() {
	ctx := context.Background()
	streamer := memstreamer.New()
	defer streamer.Close()
	records := luno.ParkOutbox(memrecordstore.New(), 0)

	b := workflow.NewBuilder[Order, Status]("orders")
	b.AddStep(Placed, pack, Packed)
	b.AddStep(Packed, ship, Shipped)
	w := b.Build(luno.Streamer(streamer), records, memrolescheduler.New(),
		workflow.WithOutboxOptions(workflow.OutboxPollingFrequency(time.Hour)))
	w.Run(ctx)
	defer w.Stop()

	runID, err := w.Trigger(ctx, "order-7")
	if err != nil {
		log.Fatal(err)
	}
	run, err := w.Await(ctx, "order-7", runID, Shipped)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.ForeignID, "is", run.Status)
	// Output: order-7 is shipped
}
