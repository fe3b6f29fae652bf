package main

import (
	"errors"
	"sync/atomic"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// errOnPurpose is what every failure and crash that the flags ask for says.
var errOnPurpose = errors.New("on purpose")

// newFaults lets one try of a step in failEvery fail, and crashes the consumer
// at one step done in crashEvery; zero is never.
func newFaults(failEvery, crashEvery int) fulfilment.Faults {
	var tries, done atomic.Int64
	return fulfilment.Faults{
		BeforeStep: func(string, fulfilment.Record) error {
			if failEvery > 0 && tries.Add(1)%int64(failEvery) == 0 {
				return errOnPurpose
			}
			return nil
		},
		BeforeAck: func(string, fulfilment.Record) {
			if crashEvery > 0 && done.Add(1)%int64(crashEvery) == 0 {
				panic(errOnPurpose)
			}
		},
	}
}
