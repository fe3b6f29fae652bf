package benchmarks

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/bench"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	"github.com/memstreamer/memstreamer/sqlite"
)

// Durables are memstreamer's contract on a disk.
var Durables = []Peer{
	{Name: "sqlite-normal", Title: "sqlite, NORMAL", Open: newSQLite("NORMAL")},
	{Name: "sqlite-full", Title: "sqlite, FULL", Open: newSQLite("FULL")},
	{Name: "embedded", Title: "JetStream, embedded", Open: newEmbedded()},
	{Name: "embedded-exact", Title: "JetStream, embedded, exact acks", Open: newEmbedded(jetstream.WithExactAcks())},
}

// durable is a streamer, and what stops and removes what is below it.
type durable struct {
	bench.Streamer
	stop func() error
}

func (d durable) Close() error { return errors.Join(d.Streamer.Close(), d.stop()) }

// opened returns a Broker of s, or stops what is below it if there is none.
func opened(s memstreamer.EventStreamer, err error, stop func() error) (bench.Broker, error) {
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return durable{bench.Streamer{EventStreamer: s}, stop}, nil
}

func newSQLite(synchronous string) bench.Open {
	return func() (bench.Broker, error) {
		db, remove, err := openDB(synchronous)
		if err != nil {
			return nil, err
		}
		s, err := sqlite.New(context.Background(), db)
		return opened(s, err, remove)
	}
}

// openDB opens a new database, as sqlite's README says, with other pragmas before.
func openDB(synchronous string, pragmas ...string) (db *sql.DB, remove func() error, err error) {
	dir, err := os.MkdirTemp("", "memstreamer-sqlite-")
	if err != nil {
		return nil, nil, err
	}
	db, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "bench.db")+"?_txlock=immediate&_pragma="+strings.Join(append(pragmas, "journal_mode(WAL)", "synchronous("+synchronous+")"), "&_pragma="))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	db.SetMaxOpenConns(1)
	return db, func() error { return errors.Join(db.Close(), os.RemoveAll(dir)) }, nil
}

func newEmbedded(opts ...jetstream.Option) bench.Open {
	return func() (bench.Broker, error) {
		conn, stop, err := startServer()
		if err != nil {
			return nil, err
		}
		js, err := natsjs.New(conn)
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		s, err := jetstream.New(context.Background(), js, opts...)
		return opened(s, err, stop)
	}
}

// startServer starts a NATS server in this process.
func startServer() (conn *nats.Conn, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "memstreamer-jetstream-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	conn, stopServer, err := embedded.Start(dir)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return conn, func() error { return errors.Join(stopServer(), remove()) }, nil
}
