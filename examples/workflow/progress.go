package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// How often progress is shown: on a terminal, and on what keeps every line.
const (
	terminalEvery = 100 * time.Millisecond
	plainEvery    = 2 * time.Second
)

// progress shows a line that changes: rewritten in place on a terminal, and
// anew every now and then elsewhere. Messages go above it. Its methods are safe
// for concurrent use.
type progress struct {
	w        io.Writer
	terminal bool

	mu    sync.Mutex
	shown int // how many columns of the terminal's line are in use
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, terminal: isTerminal(w)}
}

// isTerminal tells whether stream is a terminal, or another device that keeps
// nothing.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// follow shows what line returns, again and again, until the function that it
// returns is called.
func (p *progress) follow(line func() string) (stop func()) {
	every := plainEvery
	if p.terminal {
		every = terminalEvery
	}
	ticker := time.NewTicker(every)
	stopped := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		for {
			select {
			case <-ticker.C:
				p.show(line())
			case <-stopped:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(stopped)
		following.Wait()
		p.clear()
	}
}

// show puts line in the place of the last one shown.
func (p *progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	// Spaces, and no escape sequence, are understood by every terminal.
	columns := utf8.RuneCountInString(line)
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.shown-columns)))
	p.shown = columns
}

// note shows a line in place on a terminal, and nothing elsewhere.
func (p *progress) note(format string, args ...any) {
	if p.terminal {
		p.show(fmt.Sprintf(format, args...))
	}
}

// printf writes a message that stays.
func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
}

func (p *progress) clearLocked() {
	if p.shown > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.shown))
		p.shown = 0
	}
}
