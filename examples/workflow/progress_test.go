package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screen returns what a terminal shows of written.
func screen(written string) string {
	var shown []rune
	line, column := 0, 0 // where the current line starts in shown, and the cursor in it
	for _, r := range written {
		switch {
		case r == '\r':
			column = 0
		case r == '\n':
			shown = append(shown, '\n')
			line, column = len(shown), 0
		case line+column < len(shown):
			shown[line+column] = r
			column++
		default:
			shown = append(shown, r)
			column++
		}
	}
	return string(shown)
}

func TestProgressOnATerminalRewritesItsLine(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, terminal: true}
	p.show("12 orders …")
	p.show("9 orders")
	assert.Equal(t, "9 orders   ", screen(out.String()))
	p.printf("line %d is bad", 3)
	assert.Equal(t, "line 3 is bad\n", screen(out.String()))
	p.note("idling")
	assert.Equal(t, "line 3 is bad\nidling", screen(out.String()))
	p.clear()
	p.clear()
	assert.Equal(t, "line 3 is bad\n      ", screen(out.String()))
}

func TestProgressElsewhereIsPlainLines(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.show("1 order")
	p.note("idling")
	p.show("2 orders")
	p.printf("line 3 is bad")
	p.clear()
	assert.Equal(t, "1 order\n2 orders\nline 3 is bad\n", out.String())
}

func TestProgressFollows(t *testing.T) {
	for _, test := range []struct {
		terminal bool
		want     string
	}{
		{true, "\r1\r2\r3\r \r"},
		{false, "1\n2\n3\n"},
	} {
		t.Run(fmt.Sprintf("terminal=%t", test.terminal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := &progress{w: &out, terminal: test.terminal}
				n := 0
				stop := p.follow(func() string {
					n++
					return fmt.Sprint(n)
				})
				every := plainEvery
				if test.terminal {
					every = terminalEvery
				}
				time.Sleep(3*every + every/2)
				stop()
				assert.Equal(t, test.want, out.String())
			})
		})
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, isTerminal(file))
	assert.False(t, isTerminal(new(bytes.Buffer)))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	assert.True(t, isTerminal(null))
}
