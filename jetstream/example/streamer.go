package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// openStreamer returns the streamer that the flags ask for, and what closes it
// and all that belongs to it.
func openStreamer(ctx context.Context, c config) (*jetstream.Streamer, func() error, error) {
	conn, disconnect, err := openConn(c)
	if err != nil {
		return nil, nil, err
	}
	js, err := natsjs.New(conn)
	if err != nil {
		return nil, nil, errors.Join(err, disconnect())
	}
	streamer, err := jetstream.New(ctx, js, jetstream.WithStream(c.stream), jetstream.WithReplicas(c.replicas))
	if err != nil {
		return nil, nil, errors.Join(err, disconnect())
	}
	return streamer, func() error { return errors.Join(streamer.Close(), disconnect()) }, nil
}

func openConn(c config) (*nats.Conn, func() error, error) {
	if c.streamer == "embedded" {
		return embedded.Start(filepath.Join(c.dir, "server"))
	}
	conn, err := nats.Connect(c.nats, nats.Name("fulfilment"), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", c.nats, err)
	}
	return conn, func() error {
		conn.Close()
		return nil
	}, nil
}
