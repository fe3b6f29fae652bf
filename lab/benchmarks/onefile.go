package benchmarks

import (
	"context"
	"errors"
	"time"

	"github.com/luno/workflow"

	"github.com/memstreamer/memstreamer/luno"
	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

// OneFile is what workflows of luno/workflow run on in one SQLite file, with records of
// sqlitestore.
type OneFile struct {
	Peer // it has no Open

	synchronous string
	outbox      bool // the engine's
	ackDelay    time.Duration
	pragmas     []string
}

// OneFiles are the engine's outbox, and a record and its event in one transaction.
var OneFiles = []OneFile{
	{Peer: Peer{Name: "outbox", Title: "sqlite, engine's outbox"}, synchronous: "NORMAL", outbox: true},
	{Peer: Peer{Name: "normal", Title: "one transaction"}, synchronous: "NORMAL"},
	{Peer: Peer{Name: "normal-delay", Title: "one transaction, WithAckDelay"}, synchronous: "NORMAL", ackDelay: 5 * time.Millisecond},
	{
		Peer:        Peer{Name: "tuned", Title: "one transaction, WithAckDelay, tuned"},
		synchronous: "NORMAL", ackDelay: 5 * time.Millisecond,
		// Checkpoints, which sync, a tenth as often; and no locks for other processes.
		pragmas: []string{"wal_autocheckpoint(10000)", "locking_mode(EXCLUSIVE)"},
	},
	{Peer: Peer{Name: "full-delay", Title: "one transaction, WithAckDelay, FULL"}, synchronous: "FULL", ackDelay: 5 * time.Millisecond},
}

// open opens a new file.
func (f OneFile) open() (p parts, streamer *sqlite.Streamer, err error) {
	ctx := context.Background()
	db, remove, err := openDB(f.synchronous, f.pragmas...)
	if err != nil {
		return parts{}, nil, err
	}
	streamer, err = sqlite.New(ctx, db, sqlite.WithAckDelay(f.ackDelay))
	if err != nil {
		return parts{}, nil, errors.Join(err, remove())
	}
	closeAll := func() error { return errors.Join(streamer.Close(), remove()) }
	with, outbox := streamer, workflow.WithoutOutbox()
	if f.outbox {
		with, outbox = nil, workflow.WithOutboxOptions()
	}
	store, err := sqlitestore.New(ctx, db, with)
	if err != nil {
		return parts{}, nil, errors.Join(err, closeAll())
	}
	return parts{
		streamer: luno.Streamer(streamer), records: func() workflow.RecordStore { return store },
		options: []workflow.BuildOption{outbox}, close: closeAll,
	}, streamer, nil
}
