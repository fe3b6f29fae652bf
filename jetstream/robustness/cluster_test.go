package robustness_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// cluster is three servers of this process, joined over loopback.
type cluster []*singleServer

// startCluster starts a cluster, after change has changed its servers' options.
func startCluster(t testing.TB, change ...func(*server.Options)) cluster {
	t.Helper()
	const size = 3
	var c cluster
	var routes []*url.URL
	for i := range size {
		o := serverOptions(t)
		o.ServerName = fmt.Sprintf("server-%d", i+1)
		o.Cluster = server.ClusterOpts{Name: "cluster", Host: o.Host, Port: freePort(t)}
		for _, f := range change {
			f(o)
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort(o.Host, strconv.Itoa(o.Cluster.Port))})
		c = append(c, &singleServer{options: o})
	}
	for _, s := range c {
		s.options.Routes = routes
		require.NoError(t, s.start())
		t.Cleanup(s.stop)
	}
	require.Eventually(t, func() bool {
		leader := slices.IndexFunc(c, func(s *singleServer) bool { return s.running.JetStreamIsLeader() })
		return leader >= 0 && len(c[leader].running.JetStreamClusterPeers()) == size
	}, patience, 10*time.Millisecond, "the cluster has no leader")
	return c
}

func (c cluster) connect(t testing.TB, opts ...nats.Option) natsjs.JetStream {
	t.Helper()
	var urls []string
	for _, s := range c {
		urls = append(urls, s.url())
	}
	return connect(t, strings.Join(urls, ","), opts...)
}

// leader returns the server that leads the one stream.
func (c cluster) leader(ctx context.Context, js natsjs.JetStream) (*singleServer, error) {
	stream, err := js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	name := stream.CachedInfo().Cluster.Leader
	i := slices.IndexFunc(c, func(s *singleServer) bool { return s.options.ServerName == name })
	if i < 0 {
		return nil, fmt.Errorf("no server is named %q", name)
	}
	return c[i], nil
}
