package robustness_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asServer is set in the environment of a test binary that is to be a server: the
// port, a space, and the directory.
const asServer = "MEMSTREAMER_SERVER"

func TestMain(m *testing.M) {
	if args := os.Getenv(asServer); args != "" {
		serve(args)
	}
	goleak.VerifyTestMain(m)
}

// serve is a server until it is killed, or until the test that started it ends
// and closes its standard input.
func serve(args string) {
	var o server.Options
	if _, err := fmt.Sscanf(args, "%d %q", &o.Port, &o.StoreDir); err != nil {
		panic(err)
	}
	o.Host, o.JetStream, o.NoSigs, o.NoLog = "127.0.0.1", true, true, true
	srv, err := server.NewServer(&o)
	if err != nil {
		panic(err)
	}
	srv.Start()
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(1)
}

// child is a server in a process of its own, which can be killed.
type child struct {
	port int
	dir  string
	cmd  *exec.Cmd
}

func startChild(t testing.TB) *child {
	t.Helper()
	c := &child{port: freePort(t), dir: filepath.Join(t.TempDir(), "server")}
	require.NoError(t, c.start())
	t.Cleanup(func() { _ = c.kill() })
	return c
}

func (c *child) start() error {
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %q", asServer, c.port, c.dir))
	c.cmd.Stderr = os.Stderr
	if _, err := c.cmd.StdinPipe(); err != nil {
		return err
	}
	return c.cmd.Start()
}

// kill ends the server as kill -9 does.
func (c *child) kill() error {
	err := c.cmd.Process.Kill()
	_ = c.cmd.Wait() // which says that it was killed
	return err
}

func (c *child) url() string {
	return "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
}
