package streamertest_test

import (
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/enginetest"
	"github.com/memstreamer/memstreamer/streamertest"
)

func TestStreamConstructor(t *testing.T) {
	streamertest.Run(t, func(*testing.T) memstreamer.EventStreamer {
		return memstreamer.New()
	}, streamertest.InMemory())
}

func TestThroughAs(t *testing.T) {
	streamertest.Run(t, func(*testing.T) memstreamer.EventStreamer {
		return enginetest.Through(memstreamer.New())
	}, streamertest.InMemory())
}
