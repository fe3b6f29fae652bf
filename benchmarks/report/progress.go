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
	started  time.Time
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, started: time.Now()}
}

// say writes a line. What is kept stays on a terminal.
func (p *progress) say(keep bool, format string, args ...any) {
	start, end := "", "\n"
	if p.terminal {
		start = "\r\x1b[K"
		if !keep {
			end = ""
		}
	} else if !keep && time.Since(p.said) < 30*time.Second {
		return
	}
	p.said = time.Now()
	fmt.Fprintf(p.out, start+format+end, args...)
}

// left is how long the rounds will take that are not done: as long as those
// before or, in the first round, as long as they usually do.
func (p *progress) left(round, rounds int) time.Duration {
	each := usualRound
	if round > 0 {
		each = time.Since(p.started) / time.Duration(round)
	}
	return (each * time.Duration(rounds-round)).Round(10 * time.Second)
}
