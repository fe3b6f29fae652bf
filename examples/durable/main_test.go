package main

import (
	"testing"

	"github.com/memstreamer/memstreamer/examples/internal/delivery/deliverytest"
)

func TestMain(m *testing.M) { deliverytest.Main(m, main) }

func TestKill(t *testing.T) { deliverytest.Kill(t, command, "-dir", t.TempDir()) }

func TestStop(t *testing.T) { deliverytest.Stop(t, command, "-dir", t.TempDir()) }

func TestRefusals(t *testing.T) {
	deliverytest.Refusals(t, command, map[string][]string{})
}
