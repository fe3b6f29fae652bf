package program

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

func TestProgressOnATerminalRewritesItsLine(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, terminal: true}
	p.show("12 orders")
	p.printf("line %d is bad", 3)
	p.show("13 orders")
	p.show("14 orders")
	p.clear()
	p.clear()
	assert.Equal(t, "\x1b[?7l12 orders\x1b[?7h"+"\r\x1b[K"+"line 3 is bad\n"+"\x1b[?7l13 orders\x1b[?7h"+
		"\r\x1b[K\x1b[?7l14 orders\x1b[?7h"+"\r\x1b[K", out.String())
}

func TestProgressElsewhereIsPlainLines(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.show("1 order")
	p.show("2 orders")
	p.printf("line 3 is bad")
	p.clear()
	assert.Equal(t, "1 order\n2 orders\nline 3 is bad\n", out.String())
}

func TestProgressFollows(t *testing.T) {
	for every, p := range map[time.Duration]*progress{terminalEvery: {terminal: true}, plainEvery: {}} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			p.w = &out
			n := 0
			stop := p.follow(func() string {
				n++
				return fmt.Sprint(n)
			})
			time.Sleep(3*every + every/2)
			stop()
			assert.Equal(t, 3, n)
			assert.Contains(t, out.String(), "3")
			assert.False(t, p.shown)
		})
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	for _, stream := range []any{file, null, new(bytes.Buffer)} {
		assert.False(t, isTerminal(stream))
	}
}
