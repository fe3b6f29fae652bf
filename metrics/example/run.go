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

// retention is short, so that its work is seen soon.
const retention = 30 * time.Second

// run is the program, but for its process; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
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

// parseFlags reports what is wrong with args on stderr, as the flag package
// does, and returns [flag.ErrHelp] for a request for help.
func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "serve on `HOST:PORT`; port 0 is one that is free")
	flags.IntVar(&c.rate, "rate", 50, "submit so many `ORDERS` a second, each of which is eight events")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.rate < 1 || c.rate > 1000:
		err = fmt.Errorf("-rate must be from 1 to 1000, not %d", c.rate)
	}
	if err != nil {
		fmt.Fprintf(stderr, "example: %v\nexample -h lists the flags.\n", err)
	}
	return c, err
}

// serve works until ctx is done or the server fails.
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

	fmt.Fprintf(stdout, "metrics: http://%s/metrics\npage:    http://%[1]s/debug/streamer\n", listener.Addr())
	fmt.Fprintf(stdout, "%d orders a second, until interrupted\n", c.rate)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// Requests that are being answered are still answered.
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(shutdown)
	<-served // http.ErrServerClosed
	return err
}
