package memwatermill_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/watermill/internal/suite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStreamer(*testing.T) memstreamer.EventStreamer { return memstreamer.New() }

func TestUniversalSuite(t *testing.T) { suite.Run(t, false, newStreamer) }
