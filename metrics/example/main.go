// Command example runs the order workflow at a steady pace, and serves what its
// streamer tells: /metrics for Prometheus, and /debug/streamer for a browser.
//
//	go run ./example [-rate ORDERS] [-addr HOST:PORT]
//
// For five seconds in every twenty the step charge is slower than the orders
// come, so that there is a lag to see. It runs until it is interrupted; the
// exit status is then 0, 1 after a failure, and 2 when the flags make no sense.
// The orders are kept in memory, all of them.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// The first interrupt is handled; the next does what it does by default.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
