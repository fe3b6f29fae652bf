package fulfilment

import "fmt"

// Hooks tell what an [Engine] does. Each may be nil. They are called from many
// goroutines at once, and the engine waits for them.
type Hooks struct {
	// Received is called with each event that a consumer receives; redelivered
	// reports whether it had received that one before.
	Received func(consumer string, event *Event, redelivered bool)
	// Failed is called when a consumer, or the relay under the name [Outbox],
	// has failed: at a step, at the store or at the streamer, or with a [*Crash].
	// It then pauses and tries again.
	Failed func(consumer string, err error)
	// Finished is called once for each order that this engine accepted or found
	// unfinished in its store, when it is delivered.
	Finished func(orderID string)
}

// Faults make an [Engine] go wrong on purpose. Each may be nil. They are called
// from many goroutines at once. One that panics crashes its consumer.
type Faults struct {
	// BeforeStep is called before each try of a step, which fails with its error.
	BeforeStep func(consumer string, record Record) error
	// BeforeAck is called with the record that a step has saved, before the ack.
	BeforeAck func(consumer string, record Record)
}

// Crash is the failure of a consumer that has panicked.
type Crash struct {
	Reason any // what it panicked with
	Stack  []byte
}

func (c *Crash) Error() string { return fmt.Sprintf("crashed: %v\n%s", c.Reason, c.Stack) }

// Unwrap returns the reason if it is an error.
func (c *Crash) Unwrap() error {
	err, _ := c.Reason.(error)
	return err
}
