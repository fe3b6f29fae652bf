package main

import (
	"fmt"
	"os"
	"time"
)

// progress tells how far the measurement is: on a terminal in one line that it
// rewrites, elsewhere by a line every half a minute.
type progress struct {
	out      *os.File
	terminal bool
	said     time.Time

	started time.Time
	rounds  int
	round   time.Duration // how long one takes
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) say(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
		fmt.Fprintf(p.out, format, args...)
		return
	}
	if time.Since(p.said) < 30*time.Second {
		return
	}
	p.said = time.Now()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *progress) start(rounds int) {
	p.started, p.rounds, p.round = time.Now(), rounds, usualRound
}

// step says that b is next, the ith of as many of a round.
func (p *progress) step(round, i, benchmarks int, b benchmark) {
	passed := time.Since(p.started)
	if round > 0 && i == 0 {
		p.round = passed / time.Duration(round)
	}
	left := max(0, time.Duration(p.rounds)*p.round-passed)
	p.say("round %d of %d, %d of %d, about %v left: %s", round+1, p.rounds, i+1, benchmarks, left.Round(time.Second), b.name)
}

// done returns how long it took.
func (p *progress) done() time.Duration {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	took := time.Since(p.started).Round(time.Second)
	fmt.Fprintln(p.out, "measured in", took)
	return took
}
