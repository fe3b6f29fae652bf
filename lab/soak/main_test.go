package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/memstreamer/memstreamer"
)

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-nonsense":      "flag provided but not defined: -nonsense",
		"-for x":         `invalid value "x" for flag -for`,
		"ten":            `unexpected argument "ten": there are only flags`,
		"-for 1s":        "-for is 1s: with a retention of 2s the heap can be judged after 20s",
		"-topics 0":      "-topics is 0",
		"-receivers 100": "-receivers is 100: it has to be a multiple of 128, twice the topics",
		"-receivers 500": "-receivers is 500",
		"-receivers 64":  "-receivers is 64",
		"-rate 1":        "-rate is 1",
		"-retention 0":   "-retention is 0s",
		"-every 0":       "and -every 0s",
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 2, program(t.Context(), strings.Fields(args), &stdout, &stderr), args)
		assert.Empty(t, stdout.String())
		assert.Regexp(t, `^soak: [^\n]*\nsoak -h lists the flags.\n$`, stderr.String())
		assert.Contains(t, stderr.String(), want)
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, program(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Empty(t, stderr.String())
	assert.Regexp(t, `^soak uses a streamer (?s).*\n\nUsage: soak \[flags\]\n.*-for DURATION\n`, stdout.String())
}

func TestVerdictSaysWhetherMemoryWasJudged(t *testing.T) {
	for _, test := range []struct {
		interrupted time.Duration
		want        string
	}{
		{12 * time.Second, "no goroutine left; its memory not judged, which takes 20s\n"},
		{21 * time.Second, "no goroutine left; its memory flat\n"},
		{time.Hour, "no goroutine left; its memory flat\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), test.interrupted)
			defer cancel()
			var out bytes.Buffer
			assert.Empty(t, run(ctx, small(), memstreamer.New(memstreamer.WithRetention(small().retention)), &out))
			assert.Contains(t, out.String(), "\nPASSED: nothing lost")
			assert.Contains(t, out.String(), test.want)
		})
	}
}
