package chaos

import (
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// line is a client's connection to a server of its own. It can hold back what the
// server says, or all that either says.
type line struct {
	server *server.Server

	mu      sync.Mutex
	changed sync.Cond
	muted   bool
	end     *lineEnd // the present one
}

func startLine(t testing.TB, opts ...nats.Option) (natsjs.JetStream, *line) {
	t.Helper()
	l := &line{server: startServer(t)}
	l.changed.L = &l.mu
	return connect(t, l.server.ClientURL(), append(opts, nats.SetCustomDialer(l))...), l
}

// Dial implements [nats.CustomDialer].
func (l *line) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = &lineEnd{Conn: conn, line: l}
	return l.end, nil
}

// mute has nothing of what the server says get through, and speak all of it.
func (l *line) mute()  { l.setMuted(true) }
func (l *line) speak() { l.setMuted(false) }

func (l *line) setMuted(muted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = muted
	l.changed.Broadcast()
}

// hang has the present connection carry nothing any more, as one to a server that
// hangs, or behind a router that drops packets. The next is as good as before.
func (l *line) hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end.hangs = true
}

// cut breaks the connection. What was held back is lost.
func (l *line) cut() {
	l.mu.Lock()
	end := l.end
	l.mu.Unlock()
	_ = end.Close()
}

// lineEnd is the client's end of a line.
type lineEnd struct {
	net.Conn
	line *line

	// Guarded by the line's mu.
	closed, hangs bool
}

func (e *lineEnd) Write(b []byte) (int, error) {
	e.line.mu.Lock()
	hangs := e.hangs
	e.line.mu.Unlock()
	if hangs {
		return len(b), nil
	}
	return e.Conn.Write(b)
}

func (e *lineEnd) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	e.line.mu.Lock()
	defer e.line.mu.Unlock()
	for (e.line.muted || e.hangs) && !e.closed {
		e.line.changed.Wait()
	}
	if e.closed {
		return 0, net.ErrClosed
	}
	return n, err
}

func (e *lineEnd) Close() error {
	e.line.mu.Lock()
	e.closed = true
	e.line.changed.Broadcast()
	e.line.mu.Unlock()
	return e.Conn.Close()
}
