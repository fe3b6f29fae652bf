package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asServer is set in the environment of a test binary that is to be a server: the
// path of its configuration.
const asServer = "MEMSTREAMER_SERVER"

func TestMain(m *testing.M) {
	if config := os.Getenv(asServer); config != "" {
		if err := serve(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// serve is a server until a line comes on standard input. It ends at once when that
// is closed, as it is when the test that started it ends.
func serve(config string) error {
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		return err
	}
	o.NoSigs, o.NoLog = true, true
	srv, err := server.NewServer(o)
	if err != nil {
		return err
	}
	srv.Start()
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

// child is a server in a process of its own, which can be stopped, killed and
// started again.
type child struct {
	name          string
	port, monitor int
	config        string // the file
	cmd           *exec.Cmd
	stdin         io.WriteCloser
}

// newChild returns a server that is not started, with more lines of configuration.
func newChild(t testing.TB, name string, config ...string) *child {
	t.Helper()
	dir := t.TempDir()
	c := &child{name: name, port: freePort(t), monitor: freePort(t), config: filepath.Join(dir, "server.conf")}
	config = append(config,
		fmt.Sprintf("server_name: %q", name),
		fmt.Sprintf(`listen: "127.0.0.1:%d"`, c.port),
		fmt.Sprintf(`http: "127.0.0.1:%d"`, c.monitor),
		fmt.Sprintf("jetstream: { store_dir: %q }", filepath.Join(dir, "server")))
	require.NoError(t, os.WriteFile(c.config, []byte(strings.Join(config, "\n")), 0o600))
	t.Cleanup(func() { _ = c.kill() })
	return c
}

func startChild(t testing.TB) *child {
	t.Helper()
	c := newChild(t, "server")
	require.NoError(t, c.start())
	return c
}

// start returns at once. The server may not listen yet.
func (c *child) start() (err error) {
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), asServer+"="+c.config, "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	return c.cmd.Start()
}

// stop ends the server as SIGTERM does.
func (c *child) stop() error {
	if _, err := io.WriteString(c.stdin, "\n"); err != nil {
		return err
	}
	return c.cmd.Wait()
}

// kill ends the server as kill -9 does, if it runs.
func (c *child) kill() error {
	if c.cmd == nil {
		return nil
	}
	err := c.cmd.Process.Kill()
	_ = c.cmd.Wait() // which says that it was killed
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (c *child) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", c.port) }

// ask asks the server's monitoring for what is at path, and decodes it into v.
func (c *child) ask(ctx context.Context, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/%s", c.monitor, path), nil)
	if err != nil {
		return err
	}
	request.Close = true // the server may be gone when it is asked again
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, &body)
	}
	return json.Unmarshal(body.Bytes(), v)
}

// healthy waits until the server says that all it has to keep is current.
func (c *child) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var answer struct{ Status string }
		err := c.ask(ctx, "healthz", &answer)
		if err == nil || ctx.Err() != nil {
			return err
		}
		sleep(ctx, 10*time.Millisecond)
	}
}
