package sqlitestore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luno/workflow"
	"github.com/luno/workflow/adapters/adaptertest"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/luno/sqlitestore"
	"github.com/memstreamer/memstreamer/sqlite"
)

// TestSuites runs those of the engine.
func TestSuites(t *testing.T) {
	t.Run("outbox, pool of four", func(t *testing.T) {
		adaptertest.RunRecordStoreTest(t, func() workflow.RecordStore { return withOutbox(t, tempDB(t, 4)) })
		adaptertest.RunTimeoutStoreTest(t, func() workflow.TimeoutStore { return withOutbox(t, tempDB(t, 4)).Timeouts() })
	})
	t.Run("streamer, pool of one", func(t *testing.T) {
		// All but the fourth and the fifth, which look into the outbox.
		stores := 0
		adaptertest.RunRecordStoreTest(t, func() workflow.RecordStore {
			if stores++; stores == 4 || stores == 5 {
				return withOutbox(t, tempDB(t, 1))
			}
			_, s := withStreamer(t, tempDB(t, 1))
			return s
		})
		adaptertest.RunTimeoutStoreTest(t, func() workflow.TimeoutStore {
			_, s := withStreamer(t, tempDB(t, 1))
			return s.Timeouts()
		})
	})
}

// TestRecords has each part of a record come back.
func TestRecords(t *testing.T) {
	db := tempDB(t, 1)
	s := withOutbox(t, db)
	_, err := s.Lookup(t.Context(), "run")
	require.Equal(t, workflow.ErrRecordNotFound, err)
	_, err = s.Latest(t.Context(), "orders", "order")
	require.Equal(t, workflow.ErrRecordNotFound, err)
	for _, want := range []workflow.Record{
		{RunID: "zero values"},
		*record("run", 1),
		{
			WorkflowName: "a zero \x00", ForeignID: "\x00", RunID: "\x00\x00", RunState: 9, Status: -1, Object: []byte{0, 255},
			CreatedAt: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), UpdatedAt: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
			Meta: workflow.Meta{RunStateReason: "'", StatusDescription: "\xff", TraceOrigin: "@"},
		},
	} {
		require.NoError(t, s.Store(t.Context(), &want))
		for _, s := range []*sqlitestore.Store{s, withOutbox(t, db)} {
			got, err := s.Lookup(t.Context(), want.RunID)
			require.NoError(t, err)
			require.WithinDuration(t, want.CreatedAt, got.CreatedAt, 0)
			require.WithinDuration(t, want.UpdatedAt, got.UpdatedAt, 0)
			want.CreatedAt, want.UpdatedAt = got.CreatedAt, got.UpdatedAt
			require.Equal(t, want, *got)
			latest, err := s.Latest(t.Context(), want.WorkflowName, want.ForeignID)
			require.NoError(t, err)
			require.Equal(t, got, latest)
		}
	}
}

// TestLatest returns the run that began last, though another has changed since.
func TestLatest(t *testing.T) {
	s := withOutbox(t, tempDB(t, 1))
	for _, r := range []*workflow.Record{record("first", 1), record("second", 1), record("first", 2)} {
		r.ForeignID = "order"
		require.NoError(t, s.Store(t.Context(), r))
	}
	latest, err := s.Latest(t.Context(), "orders", "order")
	require.NoError(t, err)
	require.Equal(t, "second", latest.RunID)
}

// TestVersions stores a record over the version before it alone, and no event for one
// that was not stored.
func TestVersions(t *testing.T) {
	for _, pool := range []int{1, 4} {
		s := withOutbox(t, tempDB(t, pool))
		versions(t, s)
		events, err := s.ListOutboxEvents(t.Context(), "orders", 100)
		require.NoError(t, err)
		require.Len(t, events, 4)
		for i, e := range events {
			require.Contains(t, string(e.Data), fmt.Sprint("orders-", 11+i), "the topic of version %d", i+1)
		}
		streamer, s := withStreamer(t, tempDB(t, pool))
		versions(t, s)
		require.EqualValues(t, 4, kept(streamer))
	}
}

// kept returns how many events are kept.
func kept(s *sqlite.Streamer) (n int) {
	for _, topic := range s.Stats().Topics {
		n += topic.Retained
	}
	return n
}

func versions(t *testing.T, s *sqlitestore.Store) {
	require.ErrorContains(t, s.Store(t.Context(), record("run", 2)), "the record of run run is at another version than 1")
	for version := uint(1); version <= 3; version++ {
		require.NoError(t, s.Store(t.Context(), record("run", version)))
		for _, other := range []uint{0, version - 1, version, version + 2} {
			require.Error(t, s.Store(t.Context(), record("run", other)), "version %d over %d", other, version)
		}
	}
	var won atomic.Int64
	var storing sync.WaitGroup
	for range 16 {
		storing.Go(func() {
			if s.Store(t.Context(), record("run", 4)) == nil {
				won.Add(1)
			}
		})
	}
	storing.Wait()
	require.EqualValues(t, 1, won.Load())
	got, err := s.Lookup(t.Context(), "run")
	require.NoError(t, err)
	require.Equal(t, record("run", 4), got)
}

// TestList has pages follow one another in both orders, and filters of several values.
func TestList(t *testing.T) {
	s := withOutbox(t, tempDB(t, 1))
	for i := range 60 {
		r := record(fmt.Sprint(i), 1)
		r.Status, r.RunState, r.CreatedAt = i%3, workflow.RunState(i%5), time.UnixMicro(int64(i))
		require.NoError(t, s.Store(t.Context(), r))
	}
	require.NoError(t, s.Store(t.Context(), record("0", 2))) // its run still began first
	list := func(offset int64, limit int, order workflow.OrderType, filters ...workflow.RecordFilter) (ids []string) {
		records, err := s.List(t.Context(), "orders", offset, limit, order, filters...)
		require.NoError(t, err)
		for _, r := range records {
			ids = append(ids, r.RunID)
		}
		return ids
	}
	var all []string
	for i := range 60 {
		all = append(all, fmt.Sprint(i))
	}
	up, down := workflow.OrderTypeAscending, workflow.OrderTypeDescending
	require.Equal(t, all[:25], list(0, 0, up))
	require.Equal(t, all[50:], list(50, 20, up))
	require.Equal(t, all, list(0, 100, workflow.OrderTypeUnknown))
	require.Empty(t, list(60, 20, up))
	slices.Reverse(all)
	require.Equal(t, all[10:30], list(10, 20, down))
	require.Equal(t, []string{"1", "4", "16", "19", "31", "34", "46", "49"}, list(0, 100, up,
		workflow.FilterByStatus(1, 7), workflow.FilterByRunState(workflow.RunState(1), workflow.RunState(4))))
	require.Equal(t, []string{"7"}, list(0, 100, up, workflow.FilterByForeignID("order of 7")))
	require.Equal(t, []string{"8", "9"}, list(0, 100, up,
		workflow.FilterByCreatedAtAfter(time.UnixMicro(7)), workflow.FilterByCreatedAtBefore(time.UnixMicro(10))))
}

// TestTimeouts keeps what the engine's suite does not look at.
func TestTimeouts(t *testing.T) {
	s := withOutbox(t, tempDB(t, 1)).Timeouts()
	now := time.UnixMicro(1_000_000)
	never := time.Date(9999, 12, 31, 0, 0, 0, 0, time.Local)
	for _, expire := range []time.Time{now.Add(time.Microsecond), now, never} {
		require.NoError(t, s.Create(t.Context(), "orders", "order", "run", 3, expire))
	}
	valid, err := s.ListValid(t.Context(), "orders", 3, now)
	require.NoError(t, err)
	require.Len(t, valid, 1)
	require.Equal(t, workflow.TimeoutRecord{ID: 2, WorkflowName: "orders", ForeignID: "order", RunID: "run", Status: 3, ExpireAt: now, CreatedAt: valid[0].CreatedAt}, valid[0])
	require.NoError(t, s.Complete(t.Context(), 2))
	for _, status := range []int{3, 4} {
		valid, err = s.ListValid(t.Context(), "orders", status, now)
		require.NoError(t, err)
		require.Empty(t, valid)
	}
	require.NoError(t, s.Cancel(t.Context(), 3))
	require.NoError(t, s.Create(t.Context(), "orders", "order", "run", 3, never))
	all, err := s.List(t.Context(), "orders")
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.True(t, all[1].Completed)
	require.Equal(t, int64(4), all[2].ID, "an ID is given twice")
	require.Equal(t, never, all[2].ExpireAt)
}

func TestNewRefuses(t *testing.T) {
	for want, open := range map[string]func() (*sqlitestore.Store, error){
		"db is nil":            func() (*sqlitestore.Store, error) { return sqlitestore.New(t.Context(), nil, nil) },
		"option 1 of 1 is nil": func() (*sqlitestore.Store, error) { return sqlitestore.New(t.Context(), tempDB(t, 1), nil, nil) },
		`WithPrefix: "a b" is not a prefix of letters, digits and underscores`: func() (*sqlitestore.Store, error) {
			return sqlitestore.New(t.Context(), tempDB(t, 1), nil, sqlitestore.WithPrefix("a b"))
		},
		"call db.SetMaxOpenConns(1) first": func() (*sqlitestore.Store, error) { return sqlitestore.New(t.Context(), openDB(t, ":memory:", 2), nil) },
		"the tables are of version 2, made by a newer version of this package, which knows version 1": func() (*sqlitestore.Store, error) {
			db := tempDB(t, 1)
			withOutbox(t, db)
			_, err := db.Exec(`UPDATE workflow_records_schema SET version = 2`)
			require.NoError(t, err)
			return sqlitestore.New(t.Context(), db, nil)
		},
		"the streamer is on another database, ": func() (*sqlitestore.Store, error) {
			streamer, _ := withStreamer(t, tempDB(t, 1))
			return sqlitestore.New(t.Context(), tempDB(t, 1), streamer)
		},
		"the streamer is on another database in memory": func() (*sqlitestore.Store, error) {
			streamer, _ := withStreamer(t, openDB(t, ":memory:", 1))
			db := openDB(t, ":memory:", 1)
			withOutbox(t, db)
			return sqlitestore.New(t.Context(), db, streamer)
		},
		`it has the id "bad" in the table workflow_outbox`: func() (*sqlitestore.Store, error) {
			db := tempDB(t, 1)
			withOutbox(t, db)
			_, err := db.Exec(`INSERT INTO workflow_outbox (id, workflow_name, data, created_at) VALUES ('bad', 'orders', 'x', 0)`)
			require.NoError(t, err)
			streamer, err := sqlite.New(t.Context(), db)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, streamer.Close()) })
			return sqlitestore.New(t.Context(), db, streamer)
		},
		"context canceled": func() (*sqlitestore.Store, error) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return sqlitestore.New(ctx, tempDB(t, 1), nil)
		},
	} {
		s, err := open()
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "memstreamer/luno/sqlitestore: New: ")
		require.Nil(t, s)
	}
}

// TestStreamersPrefix has a streamer and a store whose tables begin with the same.
func TestStreamersPrefix(t *testing.T) {
	_, s := withStreamer(t, tempDB(t, 1), sqlite.WithPrefix("workflow"))
	require.NoError(t, s.Store(t.Context(), record("run", 1)))
}

// TestPrefixes has two stores on one database.
func TestPrefixes(t *testing.T) {
	db := tempDB(t, 1)
	a := withOutbox(t, db)
	b, err := sqlitestore.New(t.Context(), db, nil, sqlitestore.WithPrefix("B_2"))
	require.NoError(t, err)
	require.NoError(t, a.Store(t.Context(), record("run", 1)))
	_, err = b.Lookup(t.Context(), "run")
	require.ErrorIs(t, err, workflow.ErrRecordNotFound)
}

// TestErrors has each method say what failed, and where.
func TestErrors(t *testing.T) {
	db := tempDB(t, 1)
	s := withOutbox(t, db)
	require.NoError(t, db.Close())
	ctx := t.Context()
	lists := func(_ any, err error) error { return err }
	for method, err := range map[string]error{
		"Store":             s.Store(ctx, record("run", 1)),
		"Lookup":            lists(s.Lookup(ctx, "run")),
		"Latest":            lists(s.Latest(ctx, "orders", "order")),
		"List":              lists(s.List(ctx, "orders", 0, 0, workflow.OrderTypeAscending)),
		"ListOutboxEvents":  lists(s.ListOutboxEvents(ctx, "orders", 1)),
		"DeleteOutboxEvent": s.DeleteOutboxEvent(ctx, "id"),
		"Create":            s.Timeouts().Create(ctx, "orders", "order", "run", 1, time.Now()),
		"Complete":          s.Timeouts().Complete(ctx, 1),
		"Cancel":            s.Timeouts().Cancel(ctx, 1),
		"ListValid":         lists(s.Timeouts().ListValid(ctx, "orders", 1, time.Now())),
	} {
		require.EqualError(t, err, "memstreamer/luno/sqlitestore: "+method+": sql: database is closed")
		require.False(t, errors.Is(err, workflow.ErrRecordNotFound))
	}
}

// TestOutboxThenStreamer sends what a store with an outbox has left, and has the engine
// look for nothing more.
func TestOutboxThenStreamer(t *testing.T) {
	db := tempDB(t, 1)
	s := withOutbox(t, db)
	for version := range uint(300) {
		require.NoError(t, s.Store(t.Context(), record("run", version+1)))
	}
	streamer, s := withStreamer(t, db)
	r, err := streamer.NewReceiver(t.Context(), workflow.Topic("orders", 11), "name")
	require.NoError(t, err)
	receiving, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	e, _, err := r.Recv(receiving)
	require.NoError(t, err)
	require.Equal(t, int64(1), e.ID, "out of order")
	require.Equal(t, "run", e.ForeignID)
	require.Equal(t, "1", e.Headers["record_version"])
	_, err = sqlitestore.New(t.Context(), db, streamer)
	require.NoError(t, err)
	require.Len(t, streamer.Stats().Topics, 300, "one for each status")
	require.Equal(t, 300, kept(streamer))

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	events, err := s.ListOutboxEvents(ctx, "orders", 100)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, events)
	var left int
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM workflow_outbox`).Scan(&left))
	require.Zero(t, left)
}
