// Package embedded runs a NATS server with JetStream inside the process, so that events
// survive the process with nothing to install. The server listens on no port: only this
// process can reach it.
//
//	conn, stop, err := embedded.Start("data")
//	if err != nil {
//		return err
//	}
//	defer stop()
//	js, err := natsjs.New(conn)
//	if err != nil {
//		return err
//	}
//	streamer, err := jetstream.New(ctx, js)
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// startTimeout is how long a server may take to read its files and be ready.
const startTimeout = time.Minute

// Option configures [Start], which fails if a value is invalid.
type Option func(*options) error

type options struct {
	logger     *slog.Logger
	syncAlways bool
}

// WithLogger logs to l what the server logs, at the levels Error, Warn and Info.
// The default is to log nothing.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		o.logger = l
		return nil
	}
}

// WithSyncAlways syncs each event to disk before its Send returns, so that it
// survives a loss of power. The default is to sync every two minutes: a sent event
// survives any end of the process, but not a loss of power.
func WithSyncAlways() Option {
	return func(o *options) error {
		o.syncAlways = true
		return nil
	}
}

// Start starts a server on the files in dir, which it creates if missing, and
// returns a connection to it. stop closes the connection, has the server write
// what it holds, and returns when the server has ended. That takes about 10 ms
// for each consumer. stop may be called again, and returns the same.
//
// Start fails if dir is empty, cannot be written or is in use by another server,
// and if an option is nil or invalid.
func Start(dir string, opts ...Option) (conn *nats.Conn, stop func() error, err error) {
	o := options{logger: slog.New(slog.DiscardHandler)}
	for i, opt := range opts {
		if opt == nil {
			return nil, nil, fmt.Errorf("memstreamer/jetstream/embedded: Start: option %d of %d is nil", i+1, len(opts))
		}
		if err := opt(&o); err != nil {
			return nil, nil, fmt.Errorf("memstreamer/jetstream/embedded: Start: %w", err)
		}
	}
	if dir == "" {
		return nil, nil, errors.New("memstreamer/jetstream/embedded: Start: dir is empty")
	}
	conn, stop, err = start(dir, o)
	if err != nil {
		return nil, nil, fmt.Errorf("memstreamer/jetstream/embedded: Start in %q: %w", dir, err)
	}
	return conn, sync.OnceValue(stop), nil
}

func start(dir string, o options) (*nats.Conn, func() error, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, nil, err
	}
	srv, err := startServer(dir, o)
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	conn, err := nats.Connect("", nats.InProcessServer(srv), nats.NoReconnect(), nats.Timeout(startTimeout))
	if err != nil {
		shutdown(srv)
		return nil, nil, errors.Join(fmt.Errorf("connect: %w", err), unlock())
	}
	return conn, func() error {
		conn.Close()
		shutdown(srv)
		return unlock()
	}, nil
}

// lock keeps two servers from writing the same files, which neither would notice.
// The lock ends with the process.
func lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, "lock"))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if !ok {
		return nil, errors.New("another server uses this directory, in this process or another; give each its own")
	}
	return l.Unlock, nil
}

func startServer(dir string, o options) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "memstreamer",
		DontListen: true,
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: o.syncAlways,
		NoSigs:     true,
		// The server would close the one connection if it had more than 64 MB to
		// say. What is on its way to this process is in its memory either way.
		MaxPending: math.MaxInt64,
	})
	if err != nil {
		return nil, err
	}
	log := &serverLog{to: o.logger}
	srv.SetLogger(log, false, false)
	srv.Start()
	if message := log.fatal(); message != "" {
		shutdown(srv)
		return nil, fmt.Errorf("the server did not start: %s", message)
	}
	if !srv.ReadyForConnections(startTimeout) {
		shutdown(srv)
		return nil, fmt.Errorf("the server was not ready within %v", startTimeout)
	}
	return srv, nil
}

func shutdown(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}
