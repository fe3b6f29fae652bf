package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// config is what the flags say.
type config struct {
	in         string
	repeat     int
	strict     bool
	spin       bool
	inProgress int
	failEvery  int
	crashEvery int
	idle       time.Duration
}

// parseFlags reports what is wrong with args on stderr, as the flag package
// does, and returns [flag.ErrHelp] for a request for help.
func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("workflow", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.in, "in", "", "read orders as JSON lines from `FILE`, - for standard input (default the embedded sample)")
	flags.IntVar(&c.repeat, "repeat", 250, "go through the embedded sample `N` times, with new order IDs each time")
	flags.BoolVar(&c.strict, "strict", false, "stop at the first line that is not an order, with exit status 1")
	flags.BoolVar(&c.spin, "spin", false, "measure a polling streamer too, idle beside the parked one")
	flags.IntVar(&c.inProgress, "in-progress", 4, "have `N` orders in progress at most; the input waits")
	flags.IntVar(&c.failEvery, "fail-every", 1000, "let one try of a step in `N` fail, 0 for none")
	flags.IntVar(&c.crashEvery, "crash-every", 2000, "crash a consumer at one step done in `N`, before it acks, 0 for none")
	flags.DurationVar(&c.idle, "idle", 2*time.Second, "idle for `DURATION` to measure the CPU used doing so, 0 to leave that out")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	repeatSet := false
	flags.Visit(func(f *flag.Flag) { repeatSet = repeatSet || f.Name == "repeat" })

	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: orders are read from -in FILE", flags.Arg(0))
	case c.in != "" && repeatSet:
		err = errors.New("-repeat is for the embedded sample, not for -in")
	case c.repeat < 1:
		err = fmt.Errorf("-repeat must be 1 or more, not %d", c.repeat)
	case c.inProgress < 1:
		err = fmt.Errorf("-in-progress must be 1 or more, not %d", c.inProgress)
	case c.failEvery < 0 || c.failEvery == 1:
		err = fmt.Errorf("-fail-every must be 0, or 2 or more, not %d: a step that always fails never ends", c.failEvery)
	case c.crashEvery < 0:
		err = fmt.Errorf("-crash-every must be 0 or more, not %d", c.crashEvery)
	case c.idle < 0:
		err = fmt.Errorf("-idle must be 0 or more, not %v", c.idle)
	case c.spin && c.idle == 0:
		err = errors.New("-spin measures how a streamer idles, and -idle 0 leaves that out")
	}
	if err != nil {
		fmt.Fprintf(stderr, "workflow: %v\nworkflow -h lists the flags.\n", err)
	}
	return c, err
}
