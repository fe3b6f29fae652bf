//go:build stress

package memwatermill_test

import (
	"testing"

	"github.com/memstreamer/memstreamer/watermill/internal/suite"
)

// The tag is Watermill's: with it, its suite waits longer and doubles GOMAXPROCS.
func TestStressSuite(t *testing.T) { suite.RunStress(t, newStreamer) }
