package fulfilment

// Faults make an [Engine] go wrong, to show or to test what becomes of it. Each
// may be nil. They are called by many goroutines at once. One that panics
// crashes the consumer that called it.
type Faults struct {
	// BeforeStep is called before each try of a step. Its error, if any, is the
	// failure of that try.
	BeforeStep func(consumer string, record Record) error
	// BeforeAck is called with the record that a step has saved, before the
	// step's event is acked.
	BeforeAck func(consumer string, record Record)
}

func (f Faults) withDefaults() Faults {
	if f.BeforeStep == nil {
		f.BeforeStep = func(string, Record) error { return nil }
	}
	if f.BeforeAck == nil {
		f.BeforeAck = func(string, Record) {}
	}
	return f
}
