package chaos

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const clusterSize = 3

// startCluster starts three servers in this process, joined over loopback, and returns
// their URL. They serve until t ends: see children for some that end before.
func startCluster(t testing.TB) string {
	t.Helper()
	var ports [clusterSize]int
	var routes []*url.URL
	for i := range ports {
		ports[i] = freePort(t)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	var servers []*server.Server
	var urls []string
	for i, port := range ports {
		srv := startServer(t, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("server-%d", i+1)
			o.Cluster = server.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: port}
			o.Routes = routes
		})
		servers = append(servers, srv)
		urls = append(urls, srv.ClientURL())
	}
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(servers, func(srv *server.Server) bool {
			return srv.JetStreamIsLeader() && len(srv.JetStreamClusterPeers()) == clusterSize
		})
	}, patience, 10*time.Millisecond, "the cluster has no leader")
	return strings.Join(urls, ",")
}

// children is three servers in processes of their own, joined over loopback.
type children []*child

func startChildren(t testing.TB) children {
	t.Helper()
	var ports [clusterSize]int
	var routes [clusterSize]string
	for i := range ports {
		ports[i] = freePort(t)
		routes[i] = fmt.Sprintf(`"nats://127.0.0.1:%d"`, ports[i])
	}
	var c children
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
			return err == nil && state.Meta != nil && len(state.Meta.Replicas) == clusterSize-1 &&
				!slices.ContainsFunc(state.Meta.Replicas, func(p *server.PeerInfo) bool { return p.Offline || !p.Current })
		})
	}, patience, 10*time.Millisecond, "no server leads the cluster and has heard from the others")
	return c
}

func (c children) url() string {
	var urls []string
	for _, srv := range c {
		urls = append(urls, srv.url())
	}
	return strings.Join(urls, ",")
}

// leader returns the server that leads the one stream.
func (c children) leader(ctx context.Context, js natsjs.JetStream) (*child, error) {
	name, err := leaderOf(ctx, js)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c, func(srv *child) bool { return srv.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no server is named %q", name)
	}
	return c[i], nil
}

// leaderOf returns the name of the server that leads the one stream.
func leaderOf(ctx context.Context, js natsjs.JetStream) (string, error) {
	stream, err := js.Stream(ctx, streamName)
	if err != nil {
		return "", err
	}
	return stream.CachedInfo().Cluster.Leader, nil
}
