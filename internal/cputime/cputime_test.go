package cputime

import (
	"testing"
	"time"
)

func TestProcessCountsWork(t *testing.T) {
	before := Process()
	for deadline := time.Now().Add(10 * time.Second); Process()-before < 20*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatalf("ten seconds of a busy loop count as %v", Process()-before)
		}
	}
}

func TestProcessCountsNoSleep(t *testing.T) {
	before, start := Process(), time.Now()
	time.Sleep(200 * time.Millisecond)
	if used, passed := Process()-before, time.Since(start); used > passed/2 {
		t.Errorf("%v asleep count as %v", passed, used)
	}
}
