package program

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// How often progress is shown: on a terminal, and on what keeps every line.
const (
	terminalEvery = 100 * time.Millisecond
	plainEvery    = 2 * time.Second
)

// What terminals do on these: erase the line, and cut off what is longer than it
// instead of wrapping it.
const (
	erase  = "\r\x1b[K"
	cutOff = "\x1b[?7l"
	wrap   = "\x1b[?7h"
)

// progress shows a line that changes: rewritten in place on a terminal, and
// anew every now and then elsewhere. Messages go above it. Its methods are safe
// for concurrent use.
type progress struct {
	w        io.Writer
	terminal bool

	mu    sync.Mutex
	shown bool // a line is on the terminal
}

func newProgress(w io.Writer) *progress {
	// Windows sets no TERM, and may show the sequences as they are.
	term := os.Getenv("TERM")
	return &progress{w: w, terminal: isTerminal(w) && term != "" && term != "dumb"}
}

// isTerminal reports whether stream is a terminal, as far as can be told.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// follow shows what line returns, again and again, until the function that it
// returns is called.
func (p *progress) follow(line func() string) (stop func()) {
	every := plainEvery
	if p.terminal {
		every = terminalEvery
	}
	stopped := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		for {
			select {
			case <-time.After(every):
				p.show(line())
			case <-stopped:
				return
			}
		}
	})
	return func() {
		close(stopped)
		following.Wait()
		p.clear()
	}
}

// show puts line in the place of the last one shown.
func (p *progress) show(line string) {
	if p.terminal {
		p.print(cutOff+line+wrap, true)
	} else {
		p.print(line+"\n", false)
	}
}

// printf writes a message that stays.
func (p *progress) printf(format string, args ...any) {
	p.print(fmt.Sprintf(format+"\n", args...), false)
}

// clear takes the line away.
func (p *progress) clear() { p.print("", false) }

func (p *progress) print(text string, shown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		text = erase + text
	}
	p.shown = shown
	fmt.Fprint(p.w, text)
}
