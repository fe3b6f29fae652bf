package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := run(ctx, 1000, writer(func(p []byte) (int, error) {
		if strings.HasPrefix(string(p), "placed") {
			cancel()
		}
		return len(p), nil
	}))
	require.EqualError(t, err, "the router ended before all orders were shipped or declined")
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	require.NoError(t, run(ctx, 500, &out))
	_, table, found := strings.Cut(out.String(), "\n\n")
	require.True(t, found, out.String())
	// 10 of 500 are declined, at three tries each, and 50 time out once.
	for _, row := range []string{
		`place 1 0 500 0 0`,
		`charge 16 0 490 80 0`,
		`notify 1 0 500 0 0`,
		`ship 1 0 490 0 0`,
		`declined 1 0 10 0 0`,
	} {
		require.Regexp(t, `(?m)^ *`+strings.ReplaceAll(row, " ", " +")+" *$", table)
	}
	require.Len(t, regexp.MustCompile(`(?m)^`).FindAllString(strings.TrimSpace(table), -1), 6)
	width := len(strings.SplitN(table, "\n", 2)[0])
	for line := range strings.Lines(strings.TrimRight(table, "\n")) {
		require.Len(t, strings.TrimRight(line, "\n"), width, "the table is not aligned")
	}
}
