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
	started  time.Time
	said     time.Time
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

// step says what is next after done of total equal steps.
func (p *progress) step(done, total int, format string, args ...any) {
	if done == 0 {
		p.started = time.Now()
	}
	left := "?"
	if done > 0 {
		left = (time.Since(p.started) / time.Duration(done) * time.Duration(total-done)).Round(time.Second).String()
	}
	p.say("%3d%%, %s left: %s", 100*done/total, left, fmt.Sprintf(format, args...))
}

func (p *progress) done() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, "measured in %s\n", time.Since(p.started).Round(time.Second))
}
