package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// startOrders runs the workflow on streamer, with so many orders a second. The
// returned function ends it, and waits for that.
func startOrders(ctx context.Context, streamer memstreamer.EventStreamer, rate int, stderr io.Writer) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	pace := time.Second / time.Duration(rate)
	engine, err := fulfilment.New(ctx,
		memstreamer.As[fulfilment.EventStreamer](streamer),
		fulfilment.NewMemoryStore(),
		fulfilment.WithFaults(fulfilment.Faults{BeforeStep: takeTime(ctx, pace)}),
		fulfilment.WithHooks(fulfilment.Hooks{Failed: func(consumer string, err error) {
			fmt.Fprintf(stderr, "example: %s: %v\n", consumer, err)
		}}))
	if err != nil {
		cancel()
		return nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	running.Go(func() {
		if err := submit(ctx, engine, pace); ctx.Err() == nil {
			fmt.Fprintf(stderr, "example: no more orders: %v\n", err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}, nil
}

// submit submits an order every pace, until one fails or ctx is done.
func submit(ctx context.Context, engine *fulfilment.Engine, pace time.Duration) error {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		order := fulfilment.Order{
			ID:         fmt.Sprintf("A-%06d", n),
			Item:       "espresso beans 1 kg",
			Quantity:   1 + n%7,
			PriceCents: 1890,
		}
		if err := engine.Submit(ctx, order); err != nil {
			return err
		}
	}
}

// takeTime returns what has two of the steps take time before each try. Charge
// keeps up with the pace of the orders but for five seconds in every twenty;
// what it then makes up for is more than pick can take at once.
func takeTime(ctx context.Context, pace time.Duration) func(consumer string, _ fulfilment.Record) error {
	start := time.Now()
	return func(consumer string, _ fulfilment.Record) error {
		second := time.Since(start) % (20 * time.Second) / time.Second
		switch {
		case consumer == "charge" && second >= 5 && second < 10:
			return wait(ctx, 4*pace)
		case consumer == "charge":
			return wait(ctx, pace/5)
		case consumer == "pick":
			return wait(ctx, pace/2)
		}
		return nil
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
