package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
)

// open opens the streamer, and the store in the directory, which it locks. It
// makes no directory before it has found its server.
func (c *config) open(ctx context.Context) (memstreamer.EventStreamer, fulfilment.Store, func() error, error) {
	streamer, closeStreamer, err := c.openStreamer(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	unlock, err := lock(c.dir)
	if err != nil {
		return nil, nil, nil, errors.Join(err, closeStreamer())
	}
	store, err := sqlstore.Open(ctx, c.dir)
	if err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("store in %s: %w", c.dir, err), unlock(), closeStreamer())
	}
	return streamer, store, func() error { return errors.Join(store.Close(), unlock(), closeStreamer()) }, nil
}

// openStreamer returns the streamer that the flags ask for, and what closes it
// and all that belongs to it.
func (c *config) openStreamer(ctx context.Context) (*jetstream.Streamer, func() error, error) {
	conn, disconnect, err := c.connect()
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

func (c *config) connect() (*nats.Conn, func() error, error) {
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

// lock makes dir if it is missing, and keeps other processes from working in it.
// The lock ends with the process.
func lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, "lock"))
	ok, err := l.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("another process works in %s: give each its own -dir", dir)
	}
	return l.Unlock, nil
}
