// Command workflow runs orders through a small fulfilment engine on a
// memstreamer, and shows what that costs: at work, and with nothing to do.
//
//	go run ./examples/workflow [flags]
//
// Orders are JSON lines, of a file, of standard input, or of a sample that is
// part of the program:
//
//	{"id": "A-1001", "item": "espresso beans 1 kg", "quantity": 2, "price_cents": 1890}
//
// A line that is not an order is reported with its number and skipped or, with
// -strict, ends the run. Each order passes seven steps, some tries of which
// fail, and some of whose consumers crash, on purpose; the table at the end
// tells how often. Then the program idles and prints the CPU that it used doing
// so.
//
// The exit status is 0 when all input was read, 1 when a bad line (with
// -strict) or a failure ended the run early, 2 when the flags make no sense or
// the input cannot be opened, and 130 after an interrupt. Every order accepted
// before that is finished first, and the table is printed; a second interrupt
// ends the program at once.
package main

import "github.com/memstreamer/memstreamer/examples/workflow/program"

func main() { program.Workflow.Main() }
