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
	"github.com/memstreamer/memstreamer/internal/cli"
	"github.com/memstreamer/memstreamer/metrics"
)

// retention is short, so that its work shows soon.
const retention = 30 * time.Second

const about = `example runs an order workflow at a steady pace and serves what its streamer
tells: /metrics for Prometheus, and /debug/streamer for a browser.`

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "serve on `HOST:PORT`; port 0 picks a free one")
	rate := flags.Int("rate", 50, "submit `ORDERS` a second, each of which is eight events")
	status, goOn := cli.Parse(flags, about, args, func() error {
		switch {
		case flags.NArg() > 0:
			return fmt.Errorf("unexpected argument %q", flags.Arg(0))
		case *rate < 1 || *rate > 1000:
			return fmt.Errorf("-rate must be from 1 to 1000, not %d", *rate)
		}
		return nil
	}, stdout, stderr)
	if !goOn {
		return status
	}
	if err := serve(ctx, *addr, *rate, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "example: %v\n", err)
		return cli.Failed
	}
	return cli.OK
}

// serve runs the workflow and the server until ctx is done or the server fails.
func serve(ctx context.Context, addr string, rate int, stdout, stderr io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	streamer := memstreamer.New(memstreamer.WithRetention(retention))
	defer streamer.Close()
	stop, err := startOrders(ctx, streamer, rate, stderr)
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
		"%d orders a second, until interrupted\n", listener.Addr(), rate); err != nil {
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
