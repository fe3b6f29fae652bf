package robustness_test

import (
	"io"
	"net"
	"sync"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// proxy stands between clients and a server, and can hold back what the server
// says.
type proxy struct {
	server   *singleServer
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond
	muted   bool
	conns   map[net.Conn]bool // the open ones, of both sides
}

// startProxied returns a connection to a server of its own, by a proxy.
func startProxied(t testing.TB) (natsjs.JetStream, *proxy) {
	t.Helper()
	p := &proxy{server: startServer(t), conns: make(map[net.Conn]bool)}
	p.changed.L = &p.mu
	var err error
	p.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.cut()
		p.work.Wait()
	})
	return connect(t, "nats://"+p.listener.Addr().String()), p
}

// mute has nothing of what the server says get through, and speak all of it.
func (p *proxy) mute()  { p.setMuted(true) }
func (p *proxy) speak() { p.setMuted(false) }

func (p *proxy) setMuted(muted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muted = muted
	p.changed.Broadcast()
}

// cut closes all connections. What was held back is lost.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
	p.changed.Broadcast()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server.address())
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.work.Go(func() {
			_, _ = io.Copy(server, client)
			p.close(client, server)
		})
		p.work.Go(func() {
			_, _ = io.Copy(audible{p, client}, server)
			p.close(client, server)
		})
	}
}

func (p *proxy) close(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(p.conns, conn)
	}
	p.changed.Broadcast()
}

// audible is a client's connection, written to while the proxy is not muted.
type audible struct {
	proxy *proxy
	net.Conn
}

func (a audible) Write(b []byte) (int, error) {
	p := a.proxy
	p.mu.Lock()
	for p.muted && p.conns[a.Conn] {
		p.changed.Wait()
	}
	p.mu.Unlock()
	return a.Conn.Write(b)
}
