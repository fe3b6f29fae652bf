// Command example runs an order workflow at a steady pace and serves what its
// streamer tells: /metrics for Prometheus, and /debug/streamer for a browser.
//
//	go run ./example [-rate ORDERS] [-addr HOST:PORT]
//
// Two things go wrong in every twenty seconds, so that there is something to see:
// the step charge is slower than the orders come, and the step ship fails. It
// keeps all orders in memory and runs until it is interrupted. The exit status is
// then 0; it is 1 after a failure, and 2 if the flags make no sense.
package main

import "github.com/memstreamer/memstreamer/internal/cli"

func main() { cli.Main(run) }
