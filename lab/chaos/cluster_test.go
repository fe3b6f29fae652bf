package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// cluster is three servers in processes of their own, joined over loopback.
type cluster []*child

func startCluster(t testing.TB) cluster {
	t.Helper()
	const size = 3
	var ports [size]int
	var routes [size]string
	for i := range size {
		ports[i] = freePort(t)
		routes[i] = fmt.Sprintf("%q", fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	var c cluster
	for i, port := range ports {
		srv := newChild(t, fmt.Sprintf("server-%d", i+1),
			fmt.Sprintf(`cluster: { name: cluster, listen: "127.0.0.1:%d", routes: [%s] }`, port, strings.Join(routes[:], ", ")))
		require.NoError(t, srv.start())
		c = append(c, srv)
	}
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(c, func(srv *child) bool {
			var state server.JSInfo
			err := srv.ask(t.Context(), "jsz", &state)
			return err == nil && state.Meta != nil && len(state.Meta.Replicas) == size-1
		})
	}, patience, 10*time.Millisecond, "no server leads the cluster and knows the others")
	return c
}

func (c cluster) connect(t testing.TB, opts ...nats.Option) natsjs.JetStream {
	t.Helper()
	var urls []string
	for _, srv := range c {
		urls = append(urls, srv.url())
	}
	return connect(t, strings.Join(urls, ","), opts...)
}

// leader returns the server that leads the one stream.
func (c cluster) leader(ctx context.Context, js natsjs.JetStream) (*child, error) {
	stream, err := js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	return c.named(stream.CachedInfo().Cluster.Leader)
}

func (c cluster) named(name string) (*child, error) {
	i := slices.IndexFunc(c, func(srv *child) bool { return srv.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no server is named %q", name)
	}
	return c[i], nil
}
