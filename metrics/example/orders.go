package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// errCarrier is how ship fails.
var errCarrier = errors.New("the carrier does not answer")

// startOrders runs the workflow on streamer, with rate orders a second. The
// returned function ends it and returns when it has ended.
func startOrders(ctx context.Context, streamer memstreamer.EventStreamer, rate int, stderr io.Writer) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	pace := time.Second / time.Duration(rate)
	engine, err := fulfilment.New(ctx,
		memstreamer.As[fulfilment.EventStreamer](streamer),
		troubledStore{fulfilment.NewMemoryStore(), time.Now(), pace},
		fulfilment.Options{Failed: func(consumer string, err error) {
			if !errors.Is(err, errCarrier) {
				fmt.Fprintf(stderr, "example: %s: %v\n", consumer, err)
			}
		}})
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

// submit submits one order every pace until one fails or ctx is done.
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

// troubledStore has steps go wrong before they are saved. In every twenty seconds,
// charge is too slow for five and ship fails for six. Pick keeps up with the
// orders, but falls behind while charge makes up for lost time.
type troubledStore struct {
	fulfilment.Store
	start time.Time
	pace  time.Duration
}

func (s troubledStore) Save(ctx context.Context, record fulfilment.Record) error {
	second := time.Since(s.start) % (20 * time.Second) / time.Second
	var err error
	switch {
	case record.Status == fulfilment.Charged && second >= 5 && second < 10:
		err = wait(ctx, 4*s.pace)
	case record.Status == fulfilment.Charged:
		err = wait(ctx, s.pace/5)
	case record.Status == fulfilment.Picked:
		err = wait(ctx, s.pace/2)
	case record.Status == fulfilment.Shipped && second >= 6 && second < 12:
		err = errCarrier
	}
	if err != nil {
		return err
	}
	return s.Store.Save(ctx, record)
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
