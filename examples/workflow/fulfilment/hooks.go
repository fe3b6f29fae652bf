package fulfilment

// Hooks tell what an [Engine] does, as it does it. Each may be nil. They are
// called by many goroutines at once, and the engine waits for them.
type Hooks struct {
	// Received is called with each event that a consumer receives;
	// redelivered tells that it had received that one before.
	Received func(consumer string, event *Event, redelivered bool)
	// Failed is called when a consumer, or the relay by the name [Outbox],
	// has failed, be it at a step, at the store, or at the streamer. It tries
	// again after a pause.
	Failed func(consumer string, err error)
	// Crashed is called when a consumer has panicked, with what it panicked
	// with and its stack. Its receiver is closed, and after a pause a new one
	// of its name takes over.
	Crashed func(consumer string, reason any, stack []byte)
	// Finished is called once for each order that was submitted to this
	// engine, or that it found unfinished in its store, when the order has been
	// delivered. Wait returns after it.
	Finished func(orderID string)
}

func (h Hooks) withDefaults() Hooks {
	if h.Received == nil {
		h.Received = func(string, *Event, bool) {}
	}
	if h.Failed == nil {
		h.Failed = func(string, error) {}
	}
	if h.Crashed == nil {
		h.Crashed = func(string, any, []byte) {}
	}
	if h.Finished == nil {
		h.Finished = func(string) {}
	}
	return h
}
