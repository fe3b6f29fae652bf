package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/memrecordstore"
	"github.com/luno/workflow/adapters/memrolescheduler"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
	"github.com/memstreamer/memstreamer/luno"
)

// trouble says what goes wrong. The engine calls topics and consumers by the status
// that a step begins with.
const trouble = `In every twenty seconds,
- orders-3, which charges, is too slow for five
- orders-6, which ships, fails for six
`

// errCarrier is how ship fails.
var errCarrier = errors.New("the carrier does not answer")

// startOrders runs the workflow on streamer, and places rate orders a second. The
// returned function ends it, and returns when it has ended.
func startOrders(ctx context.Context, streamer memstreamer.EventStreamer, rate int, stderr io.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	start, pace := time.Now(), time.Second/time.Duration(rate)
	w := fulfilment.NewBuilder(func(ctx context.Context, _ *fulfilment.Order, to fulfilment.Status) error {
		second := time.Since(start) % (20 * time.Second) / time.Second
		switch {
		case to == fulfilment.Charged && second >= 5 && second < 10:
			wait(ctx, 4*pace)
		case to == fulfilment.Charged:
			wait(ctx, pace/5)
		case to == fulfilment.Picked: // falls behind while charge makes up for lost time
			wait(ctx, pace/2)
		case to == fulfilment.Shipped && second >= 6 && second < 12:
			return errCarrier
		}
		return ctx.Err()
	}).Build(
		luno.Streamer(streamer),
		luno.ParkOutbox(memrecordstore.New(), 0),
		memrolescheduler.New(),
		workflow.WithLogger(logger{stderr}),
		// The consumer that resumes paused runs holds each event of their topic for an
		// hour. There are none.
		workflow.DisablePauseRetry(),
	)
	w.Run(ctx)
	var placing sync.WaitGroup
	placing.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for n := 1; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if _, err := w.Trigger(ctx, fmt.Sprintf("A-%06d", n)); err != nil && ctx.Err() == nil {
				fmt.Fprintf(stderr, "metrics: no more orders: %v\n", err)
				return
			}
		}
	})
	return func() {
		cancel()
		placing.Wait()
		w.Stop()
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// logger tells of the errors that were not made on purpose.
type logger struct{ stderr io.Writer }

func (l logger) Debug(context.Context, string, map[string]string) {}

func (l logger) Error(ctx context.Context, err error) {
	if ctx.Err() == nil && !strings.Contains(err.Error(), errCarrier.Error()) { // the engine wraps none
		fmt.Fprintf(l.stderr, "metrics: %v\n", err)
	}
}
