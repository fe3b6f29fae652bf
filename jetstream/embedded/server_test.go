package embedded

import (
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The server does not close the connection over what it has not read yet, be it
// more than the 64 MB that a server allows by default.
func TestMaxPending(t *testing.T) {
	const messages = 70
	srv, err := startServer(t.TempDir(), options{logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer shutdown(srv)
	connect := func(from nats.InProcessConnProvider) *nats.Conn {
		conn, err := nats.Connect("", nats.InProcessServer(from), nats.NoReconnect())
		require.NoError(t, err)
		return conn
	}
	from := &pausedServer{Server: srv}
	conn := connect(from)
	defer conn.Close()
	other := connect(srv)
	defer other.Close()
	got := make(chan *nats.Msg, messages)
	_, err = conn.ChanSubscribe("subject", got)
	require.NoError(t, err)
	require.NoError(t, conn.Flush())

	body := make([]byte, server.MAX_PAYLOAD_SIZE)
	from.paused.Lock()
	for range messages {
		require.NoError(t, other.Publish("subject", body))
	}
	require.NoError(t, other.Flush())
	from.paused.Unlock()
	require.NoError(t, conn.Flush())
	assert.Len(t, got, messages)
}

// pausedServer is a server whose connections read nothing while paused is locked.
type pausedServer struct {
	*server.Server
	paused sync.Mutex
}

func (s *pausedServer) InProcessConn() (net.Conn, error) {
	conn, err := s.Server.InProcessConn()
	return pausedConn{conn, &s.paused}, err
}

type pausedConn struct {
	net.Conn
	paused *sync.Mutex
}

func (c pausedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.paused.Lock()
	defer c.paused.Unlock()
	return n, err
}
