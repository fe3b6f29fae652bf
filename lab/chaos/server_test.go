package chaos

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// startServer starts a server in this process, on loopback, after change has changed
// its options. It serves until t ends: see child for one that ends before.
func startServer(t testing.TB, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		Host:      "127.0.0.1",
		Port:      server.RANDOM_PORT,
		JetStream: true,
		StoreDir:  t.TempDir(),
		NoSigs:    true,
		NoLog:     true,
	}
	for _, f := range change {
		f(o)
	}
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(patience), "the server is not ready")
	return srv
}

func connect(t testing.TB, url string, opts ...nats.Option) natsjs.JetStream {
	t.Helper()
	opts = append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.Timeout(soonest), // the machine may be busy
	}, opts...)
	conn, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	return js
}

// connectPatiently is connect to a server that may not listen yet.
func connectPatiently(t testing.TB, url string) natsjs.JetStream {
	t.Helper()
	return connect(t, url, nats.RetryOnFailedConnect(true))
}

// Ports are taken from below those that a system gives to outgoing connections.
var (
	firstPort = 20_000 + rand.IntN(9_000)
	ports     atomic.Int64 // counts those that freePort has tried
)

// freePort returns a port that nothing listens on, and that it has not returned
// before: tests run at once, and servers come back on their ports.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := firstPort + int(ports.Add(1))
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		return port
	}
	t.Fatal("no free port")
	return 0
}
