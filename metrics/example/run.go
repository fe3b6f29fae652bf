package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// retention is short, so that its work shows soon.
const retention = 30 * time.Second

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "example: %v\nexample -h lists the flags.\n", err)
		return exitUsage
	}
	if err := serve(ctx, c, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "example: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// config is what the flags say.
type config struct {
	addr string
	rate int
}

// parseFlags returns what args say. It prints help that they ask for to stdout,
// and then returns [flag.ErrHelp].
func parseFlags(args []string, stdout io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "serve on `HOST:PORT`; port 0 picks a free one")
	flags.IntVar(&c.rate, "rate", 50, "submit `ORDERS` a second, each of which is eight events")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, "example runs an order workflow at a steady pace and serves what its streamer\n"+
			"tells: /metrics for Prometheus, and /debug/streamer for a browser.\n\nUsage: example [flags]\n\n")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return c, err
	case err != nil:
		return c, err
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.rate < 1 || c.rate > 1000:
		return c, fmt.Errorf("-rate must be from 1 to 1000, not %d", c.rate)
	}
	return c, nil
}

// serve runs the workflow and the server until ctx is done or the server fails.
func serve(ctx context.Context, c config, stdout, stderr io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	streamer := memstreamer.New(memstreamer.WithRetention(retention))
	defer streamer.Close()
	stop, err := startOrders(ctx, streamer, c.rate, stderr)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stop()

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(streamer))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/debug/streamer", metrics.NewHandler(streamer))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	if _, err := fmt.Fprintf(stdout, "metrics: http://%s/metrics\npage:    http://%[1]s/debug/streamer\n"+
		"%d orders a second, until interrupted\n", listener.Addr(), c.rate); err != nil {
		return errors.Join(err, listener.Close())
	}
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
