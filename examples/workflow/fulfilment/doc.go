// Package fulfilment is a small workflow engine for orders, in the shape of the
// engines that memstreamer is made for. It imports no streamer: it declares the
// [EventStreamer] that it needs, in types of its own.
//
// An order becomes a run, and each status that the run reaches is an event on
// the topic of that status. Each step has a consumer, which receives the events
// of its topic, does the step, and saves the record in its new status together
// with the event that tells of it, in one transaction of the [Store]. A relay
// sends the events of the store's outbox, which wakes the next step.
//
// Every part of that is at least once. An event is received again if its
// consumer fails or crashes before the ack, and it is sent again if the relay
// fails before it has left the outbox. Each event carries the record's version,
// which makes both harmless: a step that finds the record past that version has
// been done.
//
// All state is in the store and the streamer. If both outlive the process, a new
// [Engine] goes on where the last one stopped.
package fulfilment
