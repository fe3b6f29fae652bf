package tests

import (
	"flag"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/watermill/internal/suite"
)

var full = flag.Bool("full", false, "send as many messages as the universal suite does, which takes minutes on a disk")

func TestUniversalSuite(t *testing.T) {
	eachBackend(t, func(t *testing.T, open opener) {
		s, stop := open(t)
		t.Cleanup(stop) // after the parallel tests
		suite.Run(t, !*full, func(*testing.T) memstreamer.EventStreamer { return s })
	})
}
