package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// input is where orders come from: a reader or, where that is nil, the embedded
// sample, gone through rounds times.
type input struct {
	reader io.Reader
	rounds int
}

// entry is one line of the input: an order, or what is wrong with it.
type entry struct {
	line  int
	order fulfilment.Order
	err   error // a *fulfilment.LineError, or why there is no more input
}

// openFile refuses a directory, which the system would open, and not read.
func openFile(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	return os.Open(name)
}

// start returns a channel of the input's entries, which is closed after the
// last. They are read by a goroutine of their own, since a read that waits for
// somebody's standard input heeds no context: ctx ends the goroutine unless it
// is in such a read.
func (in input) start(ctx context.Context) <-chan entry {
	entries := make(chan entry)
	go func() {
		defer close(entries)
		for e := range in.all {
			select {
			case entries <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return entries
}

// all goes on after any error: whoever ranges over it knows which is the last.
func (in input) all(yield func(entry) bool) {
	for round := range in.rounds {
		reader := in.reader
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
			if !yield(entry{line: orders.Line(), order: order, err: err}) {
				return
			}
		}
	}
}
