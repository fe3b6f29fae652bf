// Package cli is what the commands of the examples have in common: progress, and signals.
package cli

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// Progress says how far a program is: on a terminal in a line that it writes over,
// elsewhere in a line for each round. Messages stay. It is safe for concurrent use.
type Progress struct {
	W     io.Writer
	Width int // of the terminal, 0 for none

	mu    sync.Mutex
	shown bool // there is a line to write over
}

// Erase has a terminal erase the line.
const Erase = "\r\x1b[K"

// NewProgress returns a Progress that writes to file.
func NewProgress(file *os.File) *Progress {
	p := &Progress{W: file}
	// Windows sets no TERM, and may show Erase as it is.
	if name := os.Getenv("TERM"); name != "" && name != "dumb" && term.IsTerminal(int(file.Fd())) {
		if p.Width, _, _ = term.GetSize(int(file.Fd())); p.Width == 0 {
			p.Width = 80
		}
	}
	return p
}

// Begin says that a round begins.
func (p *Progress) Begin(line string) {
	if p.Width == 0 {
		p.Say("%s", line)
	} else {
		p.Show(line)
	}
}

// Show writes line, which is ASCII, over the last one.
func (p *Progress) Show(line string) {
	if p.Width == 0 {
		return
	}
	if len(line) >= p.Width { // a full line would wrap
		line = line[:p.Width-1]
	}
	p.write(line, true)
}

// Say writes a message, after which a line is begun.
func (p *Progress) Say(format string, args ...any) { p.write(fmt.Sprintf(format+"\n", args...), false) }

// Clear takes the line away.
func (p *Progress) Clear() { p.write("", false) }

func (p *Progress) write(text string, shown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		text = Erase + text
	}
	p.shown = shown
	_, _ = io.WriteString(p.W, text)
}
