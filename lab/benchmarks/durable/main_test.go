package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, command.Run(t.Context(), []string{"-quick"}, "", &out, &out))
	text := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	for _, row := range []string{
		`With 64 receivers parked: \d\.\d+ cores\.`,
		`\| in memory (\| [\d.]+ .?s ){4}\|`,
		`\| sqlite, FULL (\| [\d.]+ .?s ){4}\|`,
		`\| JetStream, 3 replicas (\| [\d.]+ .?s ){4}\|`,
		`\| 1,000,000 (\| [\d.]+ .?s ){3}\|`,
		"`stop` of an embedded server with 1,000 cursors takes [\\d.]+ .?s\\.",
	} {
		require.Regexp(t, `(?m)^`+row+`$`, text)
	}
}

func TestFilesHaveTheSections(t *testing.T) { require.NoError(t, command.Check("../../..")) }
