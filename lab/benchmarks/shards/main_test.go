package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out, 2, 1000, 1))
	require.Regexp(t, `(?m)^\| memory \|( [\d.e+]+ ms \|){6}$`, out.String())
	require.Regexp(t, `(?m)^\| one file \|( [\d.e+]+ ms \|){6}$`, out.String())
	require.Len(t, strings.Split(out.String(), "≤"), 5, out.String())
}

func TestMedian(t *testing.T) {
	same := func(v float64) float64 { return v }
	require.InDelta(t, 2, median([]float64{3, 1, 2}, same), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}, same), 0)
}
