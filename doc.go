// Package memstreamer is an in-memory event streamer for workflow engines. Its idle
// receivers cost nothing.
//
// A [StreamConstructor] holds an append-only log of events, indexed by topic, which
// its senders and receivers share. A receiver with nothing to do is parked on a
// condition variable and returns for three things: an event on its topic, the end
// of its context, or a Close. Nothing polls, and no goroutine belongs to the
// package.
//
// An engine has types of its own in the shape of this package's; [As] gives it a
// StreamConstructor in those types, and [AsConnector] a [Connector].
//
// Everything is in memory: a process that restarts starts with an empty log. The
// modules sqlite and jetstream beside it keep the same contract in a file and on a
// cluster.
//
// # How parking works
//
// One mutex guards all topics and cursors. Each topic has its part of the log, and a
// [sync.Cond] on that mutex.
//
//	engine → As (types) → Send (copies in) → log, by topic → Recv (copies out) → Ack → cursor
//	                                           │               ▲
//	                                           └─ Broadcast ───┘  parked on the topic's cond
//
// Send packs an event into a buffer on its stack, takes the lock, copies it to the
// end of the topic's log, releases the lock, and broadcasts the topic's cond.
// Receivers of other topics do not wake.
//
// Recv looks at its cursor under the lock, and copies the event out once it has
// released the lock. If there is none, it sets a watcher on its context
// ([context.AfterFunc], which takes no goroutine) and waits on the cond; the watcher
// is gone when Recv returns. Recv does not yield, spin or sleep before it waits:
// beside goroutines that compute, any of these would add whole time slices to a
// hand-off.
//
// The end of a context sets the flag of its own call and broadcasts. Every other call
// on that topic finds nothing and goes on waiting, so the cost grows with the
// receivers parked there.
//
// No user code runs under the lock: no method of a context or clock, and no option.
//
// # How memory is kept and given back
//
// Events lie in slots without pointers, and their payloads one after the other in
// chunks of bytes, so that a collection does not follow each event. Segments of
// slots, chunks, names and topics are given back as they expire: see
// [WithRetention].
package memstreamer
