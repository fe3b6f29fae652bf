package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// progress says how far the program is: on a terminal in a line that it writes over,
// elsewhere in a line for each round. Messages stay.
type progress struct {
	w     io.Writer
	width int // of the terminal, 0 for none

	mu    sync.Mutex
	shown bool // there is a line to write over
}

// erase has a terminal erase the line.
const erase = "\r\x1b[K"

func newProgress(file *os.File) *progress {
	p := &progress{w: file}
	// Windows sets no TERM, and may show erase as it is.
	if name := os.Getenv("TERM"); name != "" && name != "dumb" && term.IsTerminal(int(file.Fd())) {
		if p.width, _, _ = term.GetSize(int(file.Fd())); p.width == 0 {
			p.width = 80
		}
	}
	return p
}

// begin says that a round begins.
func (p *progress) begin(line string) {
	if p.width == 0 {
		p.say("%s", line)
	} else {
		p.show(line)
	}
}

// show writes line, which is ASCII, over the last one.
func (p *progress) show(line string) {
	if p.width == 0 {
		return
	}
	if len(line) >= p.width { // a full line would wrap
		line = line[:p.width-1]
	}
	p.write(line, true)
}

// say writes a message, after which a line is begun.
func (p *progress) say(format string, args ...any) { p.write(fmt.Sprintf(format+"\n", args...), false) }

// clear takes the line away.
func (p *progress) clear() { p.write("", false) }

func (p *progress) write(text string, shown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		text = erase + text
	}
	p.shown = shown
	_, _ = io.WriteString(p.w, text)
}

// newSilence is a progress that says nothing.
func newSilence() *progress { return &progress{w: io.Discard} }
