// Command metrics runs the workflow of the examples at a steady pace, and serves what
// its streamer tells: a page for a browser, and /metrics for Prometheus.
//
//	go run -C examples ./metrics [-rate ORDERS] [-addr HOST:PORT]
//
// Two things go wrong in every twenty seconds, so that there is something to see: a
// step is slower than the orders come, and a step fails. It keeps all orders in
// memory and runs until it is interrupted. The exit status is then 0; it is 1 after a
// failure, and 2 if the flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does what it does by default
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("metrics", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8080", "serve on `HOST:PORT`; port 0 picks a free one")
	rate := flags.Int("rate", 50, "place `ORDERS` a second, each of which is eight events")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "metrics: unexpected argument %q\n", flags.Arg(0))
		return 2
	case *rate < 1 || *rate > 1000:
		fmt.Fprintf(stderr, "metrics: -rate must be from 1 to 1000, not %d\n", *rate)
		return 2
	}
	if err := serve(ctx, *addr, *rate, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "metrics: %v\n", err)
		return 1
	}
	return 0
}

// serve runs the workflow and the server until ctx is done or the server fails.
func serve(ctx context.Context, addr string, rate int, stdout, stderr io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	// The retention is short, so that its work shows soon.
	streamer := memstreamer.New(memstreamer.WithRetention(30 * time.Second))
	defer streamer.Close()
	defer startOrders(ctx, streamer, rate, stderr)()

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(streamer))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/debug/streamer", metrics.NewHandler(streamer))
	mux.Handle("/{$}", http.RedirectHandler("/debug/streamer", http.StatusFound))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	fmt.Fprintf(stdout, "page:    http://%s/\nmetrics: http://%[1]s/metrics\n%d orders a second, until interrupted\n%s",
		listener.Addr(), rate, trouble)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// Finish the requests that are being answered.
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(shutdown)
	<-served // http.ErrServerClosed
	return err
}
