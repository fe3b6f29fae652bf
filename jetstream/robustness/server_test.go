package robustness_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// singleServer is one server of this process, on loopback.
type singleServer struct {
	options *server.Options
	running *server.Server
}

func serverOptions(t testing.TB) *server.Options {
	t.Helper()
	return &server.Options{
		Host:      "127.0.0.1",
		Port:      freePort(t),
		JetStream: true,
		StoreDir:  t.TempDir(),
		NoSigs:    true,
		NoLog:     true,
	}
}

// startServer starts a server, after change has changed its options.
func startServer(t testing.TB, change ...func(*server.Options)) *singleServer {
	t.Helper()
	s := &singleServer{options: serverOptions(t)}
	for _, f := range change {
		f(s.options)
	}
	require.NoError(t, s.start())
	t.Cleanup(s.stop)
	return s
}

func (s *singleServer) start() error {
	srv, err := server.NewServer(s.options.Clone())
	if err != nil {
		return err
	}
	s.running = srv
	srv.Start()
	if !srv.ReadyForConnections(patience) {
		return errors.New("the server is not ready")
	}
	return nil
}

func (s *singleServer) stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

func (s *singleServer) address() string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}

func (s *singleServer) url() string { return "nats://" + s.address() }

func connect(t testing.TB, url string, opts ...nats.Option) natsjs.JetStream {
	t.Helper()
	opts = append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0)}, opts...)
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
