package metrics_test

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/metrics"
)

func Example() {
	streamer := memstreamer.New(memstreamer.WithRetention(time.Hour))

	prometheus.MustRegister(metrics.NewCollector(streamer))
	http.Handle("/metrics", promhttp.Handler())
	http.Handle("/debug/streamer", metrics.NewHandler(streamer))
}
