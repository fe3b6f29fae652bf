// Command example takes orders through the fulfilment engine of
// examples/workflow, on a streamer that outlives the process:
//
//	go run ./example -streamer embedded -dir data
//	go run ./example -streamer nats -nats nats://127.0.0.1:4222 -dir data
//
// Kill it in the middle, in whatever way, and start it again: it goes on from
// there, and every order is fulfilled once. The records of the orders are in a
// file in -dir, and with -streamer embedded the events are there too. With
// -streamer nats the events are in a stream of that server. The stream and -dir
// belong together: for a new directory, name a new stream with -stream.
//
// Orders are JSON lines of a file, or of a sample that is part of the engine. A
// line that is not an order is reported with its number and skipped. An order
// that was accepted before is passed over.
//
// The exit status is 0 when every accepted order is delivered as it should be, 1
// when one is not or a failure ended the run early, 2 when the flags make no
// sense, and 130 after an interrupt, after which the next start goes on.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
