// Package luno adapts memstreamer to the workflow engine github.com/luno/workflow.
//
// [Streamer] returns a streamer in the engine's own types, as memstreamer.As does. It
// corrects what the engine's Await does with any streamer, and has each of the parallel
// receivers of a step get its own events alone:
//
//	wf := builder.Build(luno.Streamer(memstreamer.New()), records, memrolescheduler.New())
//
// [ParkOutbox] returns a record store whose outbox need not be polled. By default the
// engine looks there for the next event 250 ms after it has found none, and a run waits
// that long, or half of it, for each of its steps:
//
//	records := luno.ParkOutbox(memrecordstore.New(), 0)
//
// Neither needs the other. Both were written for, and are tested on, v0.5.0 of the
// engine. For connectors there is memstreamer.AsConnector, and for records in a SQLite
// database package sqlitestore, which needs no outbox.
package luno
