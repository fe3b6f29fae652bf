package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
)

// patience is the deadline for what a test waits for.
const patience = time.Minute

// asProgram is set in the environment of a test binary that is to be the
// program.
const asProgram = "MEMSTREAMER_EXAMPLE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// output is what a program writes, for a test to read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// openTest opens the database that a program has in dir.
func openTest(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := openDB(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// TestKill kills the program again and again, until a start finds nothing left
// to do.
func TestKill(t *testing.T) {
	const (
		rounds = 3
		kills  = 3
	)
	orders := rounds * strings.Count(fulfilment.Sample, "\n")
	dir := t.TempDir()
	db := openTest(t, dir)
	store, err := sqlstore.Open(t.Context(), db)
	require.NoError(t, err)
	delivered := func() (n int) {
		require.NoError(t, db.QueryRow(`SELECT count(*) FROM fulfilment_records WHERE status = ?`, int(fulfilment.Delivered)).Scan(&n))
		return n
	}
	args := []string{"-dir", dir, "-repeat", fmt.Sprint(rounds)}
	start := func() (*exec.Cmd, *output) {
		var out output
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			// It has ended, unless the test failed.
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return cmd, &out
	}
	for i := range kills {
		cmd, out := start()
		limit := orders * (i + 1) / (kills + 1)
		require.Eventually(t, func() bool { return delivered() >= limit }, patience, time.Millisecond, "%s", out)
		require.NoError(t, cmd.Process.Kill())
		err := cmd.Wait()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "it ended before it was killed: %s", out)
		t.Logf("killed at %d of %d orders delivered: %v", delivered(), orders, err)
	}
	require.Less(t, delivered(), orders, "nothing is left for the last start")

	cmd, out := start()
	require.NoError(t, cmd.Wait(), "%s", out)
	t.Logf("\n%s", out)
	require.Contains(t, out.String(), "every order is delivered, charged once and picked once")

	records, err := store.All(t.Context())
	require.NoError(t, err)
	require.Len(t, records, orders)
	for _, r := range records {
		assert.Equal(t, fulfilment.Delivered, r.Status, r.RunID)
		assert.EqualValues(t, fulfilment.Delivered, r.Version, r.RunID)
		assert.Equal(t, r.Order.TotalCents(), r.ChargedCents, r.RunID)
		assert.Equal(t, r.Order.Quantity, r.PiecesPicked, r.RunID)
	}
	outbox, err := store.Outbox(t.Context(), 1)
	require.NoError(t, err)
	assert.Empty(t, outbox)

	var again output
	require.Equal(t, exitOK, run(t.Context(), append(args, "-repeat", "1"), &again, &again), "%s", &again)
	assert.Contains(t, again.String(), fmt.Sprintf("found %d orders: %d delivered, 0 to go on with", orders, orders))
}

func TestStore(t *testing.T) {
	record := func(id string, version int) fulfilment.Record {
		return fulfilment.Record{RunID: fulfilment.RunID(id), Order: fulfilment.Order{ID: id}, Version: version, Status: fulfilment.Status(version)}
	}
	event := func(id string, version int) fulfilment.OutboxEvent {
		return fulfilment.OutboxEvent{ForeignID: id, Type: version, Headers: map[fulfilment.Header]string{"name": "value\nof two lines"}}
	}
	ctx := t.Context()
	store, err := sqlstore.Open(ctx, openTest(t, t.TempDir()))
	require.NoError(t, err)
	require.NoError(t, store.Save(ctx, record("A", 1), event("A", 1)))
	require.NoError(t, store.Save(ctx, record("B", 1), event("B", 1)))
	require.NoError(t, store.DeleteOutboxEvent(ctx, 1))
	require.NoError(t, store.DeleteOutboxEvent(ctx, 1))
	require.NoError(t, store.Save(ctx, record("A", 2), event("A", 2)))
	for _, r := range []fulfilment.Record{record("A", 1), record("A", 2), record("A", 4), record("C", 2)} {
		require.ErrorIs(t, store.Save(ctx, r, event("A", 2)), fulfilment.ErrConflict)
	}
	all, err := store.All(ctx)
	require.NoError(t, err)
	assert.Equal(t, []fulfilment.Record{record("A", 2), record("B", 1)}, all)
	delivered := record("B", 2)
	delivered.Status = fulfilment.Delivered
	require.NoError(t, store.Save(ctx, delivered, event("B", 2)))
	unfinished, err := store.Unfinished(ctx)
	require.NoError(t, err)
	assert.Equal(t, []fulfilment.Record{record("A", 2)}, unfinished)

	outbox, err := store.Outbox(ctx, 2)
	require.NoError(t, err)
	b, a := event("B", 1), event("A", 2)
	b.ID, a.ID = 2, 3
	assert.Equal(t, []fulfilment.OutboxEvent{b, a}, outbox)
	_, err = store.Load(ctx, "none")
	assert.ErrorIs(t, err, fulfilment.ErrNotFound)
}

func TestInput(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	require.NoError(t, os.WriteFile(in, []byte(`{"id":"A","item":"beans","quantity":2,"price_cents":100}
not an order
{"id":"A","item":"beans","quantity":2,"price_cents":100}
`), 0o600))
	var out output
	require.Equal(t, exitOK, run(t.Context(), []string{"-dir", filepath.Join(dir, "data"), "-in", in}, &out, &out), "%s", &out)
	assert.Contains(t, out.String(), "line 2: not JSON")
	assert.Contains(t, out.String(), "orders accepted                           1\n")

	assert.Equal(t, exitFailed, run(t.Context(), []string{"-dir", dir, "-in", filepath.Join(dir, "none")}, &out, &out))
	assert.Contains(t, out.String(), filepath.Join(dir, "none"))
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument \"orders\"":                       {"orders"},
		"-dir must not be empty":                               {"-dir", ""},
		"-repeat must be 1 or more, not 0":                     {"-repeat", "0"},
		"flag provided but not defined: -what":                 {"-what"},
		"invalid value \"many\" for flag -repeat: parse error": {"-repeat", "many"},
	} {
		var out output
		assert.Equal(t, exitUsage, run(t.Context(), args, &out, &out))
		assert.Contains(t, out.String(), want)
	}
	var out output
	assert.Equal(t, exitOK, run(t.Context(), []string{"-h"}, &out, &out))
}
