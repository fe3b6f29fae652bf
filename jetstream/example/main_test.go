package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
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

// startProgram starts the program in a process of its own.
func startProgram(t *testing.T, args ...string) (*exec.Cmd, *output) {
	t.Helper()
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

// openTest opens the database that a program has in dir, and makes both if they
// are missing.
func openTest(t *testing.T, dir string) *sql.DB {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	db, err := openDB(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	_, err = sqlstore.Open(t.Context(), db)
	require.NoError(t, err)
	return db
}

// delivered returns how many orders db has as delivered, and accepted how many it
// has.
func delivered(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM fulfilment_records WHERE status = ?`, int(fulfilment.Delivered)).Scan(&n))
	return n
}

func accepted(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM fulfilment_records`).Scan(&n))
	return n
}

// TestKill kills the program again and again, until a start finds nothing left
// to do.
func TestKill(t *testing.T) {
	const (
		rounds = 3
		kills  = 2
	)
	orders := rounds * strings.Count(fulfilment.Sample, "\n")
	dir := t.TempDir()
	db := openTest(t, dir)
	args := []string{"-streamer", "embedded", "-dir", dir, "-repeat", fmt.Sprint(rounds)}
	for i := range kills {
		cmd, out := startProgram(t, args...)
		limit := orders * (i + 1) / (kills + 1)
		require.Eventually(t, func() bool { return delivered(t, db) >= limit }, patience, 10*time.Millisecond, "%s", out)
		require.NoError(t, cmd.Process.Kill())
		err := cmd.Wait()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "it ended before it was killed: %s", out)
		t.Logf("killed at %d of %d orders delivered: %v", delivered(t, db), orders, err)
	}
	require.Less(t, delivered(t, db), orders, "nothing is left for the last start")

	cmd, out := startProgram(t, args...)
	require.NoError(t, cmd.Wait(), "%s", out)
	t.Logf("\n%s", out)
	require.Contains(t, out.String(), "every order is delivered, charged once and picked once")

	store, err := sqlstore.Open(t.Context(), db)
	require.NoError(t, err)
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

// TestNATS runs the program on a server elsewhere, and interrupts it once.
func TestNATS(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	require.NoError(t, err)
	srv.Start()
	defer func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	require.True(t, srv.ReadyForConnections(patience))

	dir := t.TempDir()
	db := openTest(t, dir)
	args := []string{"-streamer", "nats", "-nats", srv.ClientURL(), "-dir", dir, "-repeat", "3"}
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := make(chan struct{})
	go func() {
		defer close(interrupted)
		defer cancel()
		for deadline := time.Now().Add(patience); delivered(t, db) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}()
	var out output
	require.Equal(t, exitInterrupted, run(ctx, args, &out, &out), "%s", &out)
	<-interrupted
	require.Contains(t, out.String(), "interrupted: the next start goes on from here")
	require.Equal(t, exitOK, run(t.Context(), args, &out, &out), "%s", &out)
	require.Contains(t, out.String(), "every order is delivered, charged once and picked once")
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
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument \"orders\"":                       {"orders"},
		"-streamer must be embedded or nats, not \"memory\"":   {"-streamer", "memory"},
		"-dir must not be empty":                               {"-dir", ""},
		"-streamer nats needs -nats URL":                       {"-streamer", "nats"},
		"-nats is for -streamer nats":                          {"-nats", "nats://localhost"},
		"-replicas is for -streamer nats":                      {"-replicas", "3"},
		"-repeat must be 1 or more, not 0":                     {"-repeat", "0"},
		"flag provided but not defined: -what":                 {"-what"},
		"invalid value \"many\" for flag -repeat: parse error": {"-repeat", "many"},
	} {
		t.Run(want, func(t *testing.T) {
			var out output
			assert.Equal(t, exitUsage, run(t.Context(), args, &out, &out))
			assert.Contains(t, out.String(), want)
		})
	}
	var out output
	assert.Equal(t, exitOK, run(t.Context(), []string{"-h"}, &out, &out))
	assert.Regexp(t, `^example takes orders through a workflow`, out.String())
}

// What cannot start leaves no directory behind.
func TestFailuresLeaveNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for want, args := range map[string][]string{
		"no such file":                   {"-in", filepath.Join(dir, "none")},
		"-stream must be the name":       {"-stream", "a stream"},
		"-replicas must be from 1 to 5":  {"-streamer", "nats", "-nats", "nats://127.0.0.1:1", "-replicas", "6"},
		"connect to nats://127.0.0.1:1:": {"-streamer", "nats", "-nats", "nats://127.0.0.1:1"},
	} {
		t.Run(want, func(t *testing.T) {
			var out output
			assert.NotEqual(t, exitOK, run(t.Context(), append(args, "-dir", dir), &out, &out))
			assert.Contains(t, out.String(), want)
			assert.NoDirExists(t, dir)
		})
	}
}

// TestInProgress has more orders than may be in progress, and sees that the first
// are delivered before the last are accepted.
func TestInProgress(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	cmd, out := startProgram(t, "-dir", dir, "-repeat", "20")
	require.Eventually(t, func() bool { return delivered(t, db) > 0 }, patience, time.Millisecond, "%s", out)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	assert.LessOrEqual(t, accepted(t, db)-delivered(t, db), 100)
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	require.NoError(t, err)
	var out output
	assert.Equal(t, exitFailed, run(t.Context(), []string{"-dir", dir}, &out, &out))
	assert.Contains(t, out.String(), "another process works in "+dir)
	require.NoError(t, unlock())

	assert.Equal(t, exitFailed, run(t.Context(), []string{"-dir", dir, "-in", filepath.Join(dir, "none")}, &out, &out))
	assert.Contains(t, out.String(), filepath.Join(dir, "none"))

	assert.Equal(t, exitFailed, run(t.Context(), []string{"-dir", dir, "-streamer", "nats", "-nats", "nats://127.0.0.1:1"}, &out, &out))
	assert.Contains(t, out.String(), "connect to nats://127.0.0.1:1: nats: no servers available")
}
