package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadmeShowsTheResults(t *testing.T) {
	table := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, table, _, err := cutTable(file, string(text))
		require.NoError(t, err)
		return table
	}
	assert.Equal(t, table("../RESULTS.md"), table("../../README.md"),
		"the README's table is not that of RESULTS.md: go run -C benchmarks ./report -reps 0 -readme copies it")
}
