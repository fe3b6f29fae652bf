// Package benchmarks does the same jobs with memstreamer and with what one
// might use in its place, each at its defaults for use within one process.
package benchmarks

import "context"

// eventType is the type of all events.
const eventType = 3

// Peer is one way to pass events from a sender to receivers.
type Peer struct {
	Name  string // in the names of benchmarks
	Title string
	// Modules are what it is made of, beyond this repository.
	Modules []string
	// Lacks says which of memstreamer's semantics it does not have.
	Lacks string
	// Ordered tells whether a receiver gets events in the order of their Send.
	Ordered bool
	// Keeps tells whether an event is there for a receiver that comes later.
	Keeps bool

	New func() (Broker, error)
}

// Broker passes events by topic. Every receiver name of a topic gets all of its
// events from when its receiver was opened.
type Broker interface {
	NewSender(topic string) (Sender, error)
	// NewReceiver's ctx is that of the receiver's whole life.
	NewReceiver(ctx context.Context, topic, name string) (Receiver, error)
	Close() error
}

// Sender sends the nth event of a topic, as [baseline.Outbox] makes it.
type Sender interface {
	Send(ctx context.Context, n int) error
}

// BulkSender is a Sender that has a faster way to send many events.
type BulkSender interface {
	SendAll(ctx context.Context, events int) error
}

// Receiver waits for the next event, and returns its foreign ID and what acks
// it.
type Receiver interface {
	Recv(ctx context.Context) (foreignID string, ack func() error, err error)
}

// Peers are all of them, memstreamer first.
var Peers = []Peer{
	{
		Name:    "ours",
		Title:   "memstreamer",
		Ordered: true,
		Keeps:   true,
		New:     newOurs,
	},
	{
		Name:    "plain",
		Title:   "plain parking",
		Lacks:   "isolation: all receivers share the sender's header map",
		Ordered: true,
		Keeps:   true,
		New:     newParking,
	},
	{
		Name:    "polling",
		Title:   "polling",
		Lacks:   "isolation, as plain parking",
		Ordered: true,
		Keeps:   true,
		New:     newPolling,
	},
	{
		Name:    "channels",
		Title:   "Go channels",
		Lacks:   "a log, replay, acks, redelivery, cursors, isolation; a slow receiver holds up the sender",
		Ordered: true,
		New:     newChannels,
	},
	{
		Name:    "watermill",
		Title:   "Watermill GoChannel",
		Modules: []string{watermillModule},
		Lacks:   "a log, replay, cursors, order, backpressure; what is sent while nobody receives is dropped",
		New:     newWatermill,
	},
	{
		Name:    "watermill-persistent",
		Title:   "Watermill GoChannel, Persistent",
		Modules: []string{watermillModule},
		Lacks:   "cursors (a receiver that reopens gets everything again), order, backpressure",
		Keeps:   true,
		New:     newWatermillPersistent,
	},
	{
		Name:    "jetstream",
		Title:   "NATS JetStream, in process",
		Modules: []string{natsModule, natsClientModule},
		Lacks:   "acks that are confirmed; an un-acked event comes again after 30 s, behind later ones",
		Ordered: true,
		Keeps:   true,
		New:     newJetStream,
	},
}
