// Command example takes orders through the fulfilment engine of
// examples/workflow, on a streamer that outlives the process:
//
//	go run ./example -streamer embedded -dir data
//	go run ./example -streamer nats -nats nats://127.0.0.1:4222 -dir data
//
// Kill it in the middle, in whatever way, and start it again: it goes on from
// there, and every order is fulfilled once. The records of the orders are in a
// file in -dir, and with -streamer embedded the events are there too. With
// -streamer nats the events are in a stream of that server. The stream and -dir
// belong together: for a new directory, name a new stream with -stream.
//
// Orders are JSON lines of a file, of standard input, or of a sample that is part
// of the program. A line that is not an order is reported with its number and
// skipped or, with -strict, ends the run. An order that was accepted before is
// passed over. Some tries of a step fail, and some consumers crash, on purpose: the
// table at the end tells how often.
//
// The exit status is 0 when every order accepted is delivered as it should be, 1
// when one is not, or a bad line (with -strict) or a failure ended the run early, 2
// when the flags make no sense or the input cannot be opened, and 130 after an
// interrupt. What was accepted before that is finished first; a second interrupt
// ends the program at once, and the next start goes on.
package main

import (
	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer/examples/workflow/program"
)

func main() { example().Main() }

func example() program.Program {
	var c config
	return program.Program{
		Name: "example",
		About: `example takes orders through a workflow whose events are on NATS JetStream. Kill it
and start it again: it goes on from there.`,
		Durable:    true,
		Repeat:     50,
		InProgress: 100,
		Flags:      c.flags,
		Check:      c.check,
		Open:       c.open,
	}
}
