package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/internal/delivery/deliverytest"
)

func TestMain(m *testing.M) { deliverytest.Main(m, main) }

func TestKill(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { deliverytest.Kill(t, command, "-dir", t.TempDir()) })
	t.Run("nats", func(t *testing.T) {
		s, err := server.NewServer(&server.Options{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		})
		require.NoError(t, err)
		s.Start()
		defer func() {
			s.Shutdown()
			s.WaitForShutdown()
		}()
		require.True(t, s.ReadyForConnections(time.Minute))
		deliverytest.Kill(t, command, "-dir", t.TempDir(), "-nats", s.ClientURL())
	})
}

func TestStop(t *testing.T) { deliverytest.Stop(t, command, "-dir", t.TempDir()) }

func TestRefusals(t *testing.T) {
	deliverytest.Refusals(t, command, map[string][]string{
		"-replicas is for -nats":        {"-replicas", "3"},
		"-replicas must be from 1 to 5": {"-nats", "nats://127.0.0.1:1", "-replicas", "6"},
		"-stream must be the name":      {"-stream", "a stream"},
		"connect to nats://127.0.0.1:1": {"-nats", "nats://127.0.0.1:1"},
	})
}
