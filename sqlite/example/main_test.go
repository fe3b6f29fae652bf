package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/memstreamer/memstreamer/examples/workflow/workflowtest"
	"github.com/memstreamer/memstreamer/internal/cli"
)

func TestMain(m *testing.M) { workflowtest.Main(m, main) }

func TestKill(t *testing.T) {
	dir := t.TempDir()
	workflowtest.Kill(t, example(), dir, 3, "-dir", dir)
}

func TestStore(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer store.Close()
	workflowtest.Store(t, store)
}

// An order that was accepted before is passed over.
func TestInput(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	order := `{"id":"A","item":"beans","quantity":2,"price_cents":100}` + "\n"
	require.NoError(t, os.WriteFile(in, []byte(order+"not an order\n"+order), 0o600))
	for range 2 {
		status, out := workflowtest.Run(t.Context(), example(), "-dir", filepath.Join(dir, "data"), "-in", in)
		require.Equal(t, cli.OK, status, out)
		assert.Regexp(t, `(?m)^example: line 2: not JSON: .*: skipped$`, out)
		assert.NotContains(t, out, "line 3")
		assert.Contains(t, out, "every order is delivered, charged once and picked once")
	}
}

// What cannot start leaves no directory behind.
func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for want, args := range map[string][]string{
		"unexpected argument \"orders\"":                       {"orders"},
		"-dir must not be empty":                               {"-dir", ""},
		"-repeat must be 1 or more, not 0":                     {"-repeat", "0"},
		"flag provided but not defined: -what":                 {"-what"},
		"invalid value \"many\" for flag -repeat: parse error": {"-repeat", "many"},
		"-in: open " + filepath.Join(dir, "none"):              {"-in", filepath.Join(dir, "none")},
	} {
		status, out := workflowtest.Run(t.Context(), example(), append([]string{"-dir", dir}, args...)...)
		assert.Equal(t, cli.Usage, status)
		assert.Contains(t, out, "example: "+want)
		assert.NoDirExists(t, dir)
	}
}

func TestHelp(t *testing.T) {
	status, out := workflowtest.Run(t.Context(), example(), "-h")
	assert.Equal(t, cli.OK, status)
	assert.Regexp(t, `^example takes orders through a workflow`, out)
}

func TestDirectoryInUse(t *testing.T) {
	dir := directory(t.TempDir())
	_, _, closeBoth, err := dir.open(t.Context())
	require.NoError(t, err)
	status, out := workflowtest.Run(t.Context(), example(), "-dir", string(dir))
	assert.Equal(t, cli.Failed, status)
	assert.Contains(t, out, "another process works in "+string(dir))
	require.NoError(t, closeBoth())
}
