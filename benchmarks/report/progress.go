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

// left is how long the rest of the rounds will take: each as long as those before
// it or, in the first, as long as a round usually does.
func (p *progress) left(round, rounds int, part float64, usual time.Duration) time.Duration {
	if round > 0 {
		usual = time.Duration(float64(time.Since(p.started)) / (float64(round) + part))
	}
	return time.Duration((float64(rounds-round) - part) * float64(usual)).Round(time.Second)
}
