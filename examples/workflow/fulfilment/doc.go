// Package fulfilment is a small workflow engine for orders, in the shape of the
// engines that memstreamer is made for. Programs run it on the streamer that
// they choose: it has an [EventStreamer] interface of its own, with its own
// types, and imports no streamer.
//
// An order becomes a run, and each status that the run reaches is an event on
// that status's topic. One consumer for each step receives the events of its
// topic, does the step, and saves the record in its new status together with
// the event that tells of it, in one transaction of the [Store]. A relay sends
// what the store's outbox holds, which wakes the next step.
//
// Every part of that is at least once. An event that was not acked, because its
// step failed or its consumer crashed, is received again, and an event that was
// sent twice is received twice. The record's version, which each event carries,
// makes both harmless: a step that finds the record past its event's version
// was done before.
//
// The state is all in the store and the streamer. Where both outlive the
// process, a new [Engine] on the two goes on where the last one stopped.
package fulfilment
