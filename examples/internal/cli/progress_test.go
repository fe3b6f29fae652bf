package cli

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// On a terminal of 40 columns each line is written over the last, and none wraps.
func TestProgressOnATerminal(t *testing.T) {
	var said bytes.Buffer
	p := &Progress{W: &said, Width: 40}
	p.Begin("1/3 adapter: 123456 orders")
	p.Show("1/3 adapter: 123456 of 1234567 delivered")
	p.Say("workflow: a message")
	p.Show("2/3 ours: 1 of 2 delivered")
	p.Clear()
	assert.Equal(t, "1/3 adapter: 123456 orders"+
		Erase+"1/3 adapter: 123456 of 1234567 delivere"+
		Erase+"workflow: a message\n"+
		"2/3 ours: 1 of 2 delivered"+Erase, said.String())
}

func TestProgressElsewhere(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	t.Setenv("TERM", "xterm")
	p := NewProgress(write)
	p.Begin("1/3 adapter: 100 orders")
	p.Show("1/3 adapter: 57 of 100 delivered")
	p.Clear()
	require.NoError(t, write.Close())
	said, err := io.ReadAll(read)
	require.NoError(t, err)
	assert.Equal(t, "1/3 adapter: 100 orders\n", string(said))
}
