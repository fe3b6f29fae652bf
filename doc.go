// Package memstreamer is an in-memory event streamer for workflow engines. Idle
// receivers cost nothing.
//
// # Usage
//
// A [StreamConstructor], made by [New], makes senders and receivers of events.
// Send appends an event to a topic. Recv returns the oldest event of a topic that
// a consumer has not acknowledged, and the [Ack] that commits it; without that Ack
// the event is delivered again. A consumer is a (topic, name) pair: all receivers
// opened with the same topic and name read at the same position, which outlives
// them.
//
// An engine declares these types for itself. [As] returns a StreamConstructor as
// the engine's own interface, and neither package imports the other. [Connector]
// and [AsConnector] do the same for events that come from outside an engine.
//
// # Concurrency
//
// Every method is safe for concurrent use. The package starts no goroutine, and a
// Send or an Ack never waits for a receiver. No user code runs under a lock: a
// [Clock], a context or an option may call the streamer.
//
// # Behaviour
//
// A receiver with nothing to do is parked. It returns for an event on its topic, the
// end of its context, or a Close. Receivers of other topics, or of another [Shard], do
// not wake. Recv never yields, spins or sleeps before it parks, so that busy goroutines
// do not delay a hand-off.
//
// The contract is written down at [EventStreamer], [EventSender] and
// [EventReceiver], and package streamertest tests it. The modules sqlite and
// jetstream keep the same contract in a file and on a cluster. Here everything is in
// memory: a process that restarts starts with an empty log.
//
// # Memory
//
// Everything is kept unless [WithRetention] says for how long. With it, events and
// closed consumers are dropped once they are older than that and, for events, once
// every consumer has acknowledged them; their memory is given back.
// [StreamConstructor.Stats] shows what is kept and which consumer keeps it.
package memstreamer
