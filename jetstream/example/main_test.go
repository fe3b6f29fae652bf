package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/memstreamer/memstreamer/examples/workflow/workflowtest"
	"github.com/memstreamer/memstreamer/internal/cli"
)

func TestMain(m *testing.M) { workflowtest.Main(m, main) }

func TestKill(t *testing.T) {
	dir := t.TempDir()
	workflowtest.Kill(t, example(), dir, 2, "-streamer", "embedded", "-dir", dir)
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
	require.True(t, srv.ReadyForConnections(workflowtest.Patience))

	dir := t.TempDir()
	store, err := sqlstore.Open(t.Context(), dir)
	require.NoError(t, err)
	defer func() { assert.NoError(t, store.Close()) }()
	args := []string{"-streamer", "nats", "-nats", srv.ClientURL(), "-dir", dir, "-repeat", "3"}
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := make(chan struct{})
	go func() {
		defer close(interrupted)
		defer cancel()
		for deadline := time.Now().Add(workflowtest.Patience); workflowtest.Delivered(t, store) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}()
	status, out := workflowtest.Run(ctx, example(), args...)
	require.Equal(t, cli.Interrupted, status, out)
	<-interrupted
	require.Contains(t, out, "interrupted: finishing what is in progress")
	require.Contains(t, out, "every order is delivered, charged once and picked once")
	status, out = workflowtest.Run(t.Context(), example(), args...)
	require.Equal(t, cli.OK, status, out)
	require.Contains(t, out, "every order is delivered, charged once and picked once")
	require.Equal(t, 144, workflowtest.Delivered(t, store))
}

// What cannot start leaves no directory behind.
func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for want, args := range map[string][]string{
		`-streamer must be embedded or nats, not "memory"`: {"-streamer", "memory"},
		"-dir must not be empty":                           {"-dir", ""},
		"-streamer nats needs -nats URL":                   {"-streamer", "nats"},
		"-nats is for -streamer nats":                      {"-nats", "nats://localhost"},
		"-replicas is for -streamer nats":                  {"-replicas", "3"},
		"-replicas must be from 1 to 5":                    {"-streamer", "nats", "-nats", "nats://127.0.0.1:1", "-replicas", "6"},
		"-stream must be the name":                         {"-stream", "a stream"},
		"-repeat must be 1 or more, not 0":                 {"-repeat", "0"},
		"-in: open " + filepath.Join(dir, "none"):          {"-in", filepath.Join(dir, "none")},
	} {
		t.Run(want, func(t *testing.T) {
			status, out := workflowtest.Run(t.Context(), example(), append([]string{"-dir", dir}, args...)...)
			assert.Equal(t, cli.Usage, status)
			assert.Contains(t, out, "example: "+want)
			assert.NoDirExists(t, dir)
		})
	}
	status, out := workflowtest.Run(t.Context(), example(), "-dir", dir, "-streamer", "nats", "-nats", "nats://127.0.0.1:1")
	assert.Equal(t, cli.Failed, status)
	assert.Contains(t, out, "connect to nats://127.0.0.1:1: nats: no servers available")
	assert.NoDirExists(t, dir)
}

func TestHelp(t *testing.T) {
	status, out := workflowtest.Run(t.Context(), example(), "-h")
	assert.Equal(t, cli.OK, status)
	assert.Regexp(t, `^example takes orders through a workflow`, out)
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	require.NoError(t, err)
	status, out := workflowtest.Run(t.Context(), example(), "-dir", dir)
	assert.Equal(t, cli.Failed, status)
	assert.Contains(t, out, "another process works in "+dir)
	require.NoError(t, unlock())
}
