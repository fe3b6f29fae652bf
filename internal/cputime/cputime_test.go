package cputime

import (
	"testing"
	"time"
)

func TestProcessCountsWork(t *testing.T) {
	const want = 20 * time.Millisecond
	before := Process()
	for deadline := time.Now().Add(10 * time.Second); Process()-before < want; {
		if time.Now().After(deadline) {
			t.Fatalf("ten seconds of a busy loop count as %v", Process()-before)
		}
	}
}

func TestProcessCountsNoSleep(t *testing.T) {
	before, start := Process(), time.Now()
	// Sleeping is what is measured here, not a way to wait for something.
	time.Sleep(200 * time.Millisecond)
	used, passed := Process()-before, time.Since(start)
	if used > passed/2 {
		t.Errorf("%v asleep count as %v", passed, used)
	}
}
