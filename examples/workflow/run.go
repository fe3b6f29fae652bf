package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// run is the program, but for its process; it returns the exit status. Once ctx
// is done it reads no more, and finishes what it has accepted.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	in := input{reader: stdin, rounds: 1}
	switch c.in {
	case "":
		in = input{rounds: c.repeat}
	case "-":
	default:
		file, err := openFile(c.in)
		if err != nil {
			fmt.Fprintf(stderr, "workflow: -in: %v\n", err)
			return exitUsage
		}
		defer file.Close()
		in.reader = file
	}

	p := &program{
		config:   c,
		stdout:   stdout,
		progress: newProgress(stderr),
		stats:    newStats(),
		slots:    make(chan struct{}, c.inProgress),
	}
	streamer := memstreamer.New()
	defer streamer.Close()
	engine, stop, err := startEngine(streamer,
		fulfilment.WithHooks(p.hooks()), fulfilment.WithFaults(newFaults(c.failEvery, c.crashEvery)))
	if err != nil {
		fmt.Fprintf(stderr, "workflow: %v\n", err)
		return exitFailed
	}
	defer stop()
	return p.run(ctx, in, engine)
}

// startEngine starts an engine on the streamer and an empty store, and returns
// what stops it and waits for its end.
func startEngine(streamer memstreamer.EventStreamer, opts ...fulfilment.Option) (engine *fulfilment.Engine, stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	engine, err = fulfilment.New(ctx,
		memstreamer.As[fulfilment.EventStreamer](streamer), fulfilment.NewMemoryStore(), opts...)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	return engine, func() {
		cancel()
		running.Wait()
	}, nil
}
