package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// entry is one line of the input: an order, or what is wrong with it.
type entry struct {
	line  int
	order fulfilment.Order
	err   error // a *fulfilment.LineError, or why there is no more input
}

// read returns the entries of in or, if that is nil, of the embedded sample, gone
// through rounds times. It ends with ctx, also while in is waiting for somebody
// to type: a goroutine of its own reads, and ends after that.
func read(ctx context.Context, in io.Reader, rounds int) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		entries := make(chan entry)
		go func() {
			defer close(entries)
			readAll(in, rounds, func(e entry) bool {
				select {
				case entries <- e:
					return true
				case <-ctx.Done():
					return false
				}
			})
		}()
		for {
			select {
			case e, ok := <-entries:
				if !ok || !yield(e) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func readAll(in io.Reader, rounds int, yield func(entry) bool) {
	if in != nil {
		rounds = 1
	}
	for round := range rounds {
		reader := in
		if reader == nil {
			reader = strings.NewReader(fulfilment.Sample)
		}
		orders := fulfilment.NewReader(reader)
		for {
			order, err := orders.Read()
			if err == io.EOF {
				break
			}
			if round > 0 {
				order.ID = fmt.Sprintf("%s-%d", order.ID, round+1)
			}
			// Whoever takes the entries knows which error is the last.
			if !yield(entry{orders.Line(), order, err}) {
				return
			}
		}
	}
}
