package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
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

// parseFlags returns an error that says what is wrong with args. It writes the
// help that they ask for to stdout, and then returns [flag.ErrHelp].
func parseFlags(args []string, stdout io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("workflow", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.in, "in", "", "read orders as JSON lines from `FILE`, - for standard input (default the embedded sample)")
	flags.IntVar(&c.repeat, "repeat", 250, "go through the embedded sample `N` times, with new order IDs each time")
	flags.BoolVar(&c.strict, "strict", false, "stop at the first line that is not an order, with exit status 1")
	flags.BoolVar(&c.spin, "spin", false, "measure a polling streamer too, idle beside the parked one")
	flags.IntVar(&c.inProgress, "in-progress", 4, "have `N` orders in progress at most; the input waits")
	flags.IntVar(&c.failEvery, "fail-every", 1000, "let one try of a step in `N` fail, 0 for none")
	flags.IntVar(&c.crashEvery, "crash-every", 2000, "crash a consumer at one step done in `N`, before it acks, 0 for none")
	flags.DurationVar(&c.idle, "idle", 2*time.Second, "idle for `DURATION` to measure the CPU used doing so, 0 to leave that out")
	err := flags.Parse(args)
	repeatSet := false
	flags.Visit(func(f *flag.Flag) { repeatSet = repeatSet || f.Name == "repeat" })
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, "workflow runs orders through a small fulfilment engine on a memstreamer, and\n"+
			"shows what that costs: at work, and with nothing to do. An order is a JSON line:\n\n"+
			`  {"id": "A-1001", "item": "hand grinder", "quantity": 1, "price_cents": 7900}`+
			"\n\nUsage: workflow [flags]\n\n")
		flags.PrintDefaults()
		return c, err
	case err != nil:
		return c, err
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q: orders are read from -in FILE", flags.Arg(0))
	case c.in != "" && repeatSet:
		return c, errors.New("-repeat is for the embedded sample, not for -in")
	case c.repeat < 1:
		return c, fmt.Errorf("-repeat must be 1 or more, not %d", c.repeat)
	case c.inProgress < 1:
		return c, fmt.Errorf("-in-progress must be 1 or more, not %d", c.inProgress)
	case c.failEvery < 0 || c.failEvery == 1:
		return c, fmt.Errorf("-fail-every must be 0, or 2 or more, not %d: a step that always fails never ends", c.failEvery)
	case c.crashEvery < 0:
		return c, fmt.Errorf("-crash-every must be 0 or more, not %d", c.crashEvery)
	case c.idle < 0:
		return c, fmt.Errorf("-idle must be 0 or more, not %v", c.idle)
	case c.spin && c.idle == 0:
		return c, errors.New("-spin measures how a streamer idles, and -idle 0 leaves that out")
	}
	return c, nil
}

// open returns the reader of -in, nil for the sample, and what closes it.
func (c config) open(stdin io.Reader) (reader io.Reader, closeIt func(), err error) {
	switch c.in {
	case "":
		return nil, func() {}, nil
	case "-":
		return stdin, func() {}, nil
	}
	file, err := os.Open(c.in)
	if err != nil {
		return nil, nil, fmt.Errorf("-in: %w", err)
	}
	// Some systems open a directory, and then do not read it.
	if info, err := file.Stat(); err == nil && info.IsDir() {
		file.Close()
		return nil, nil, fmt.Errorf("-in: %s is a directory", c.in)
	}
	return file, func() { file.Close() }, nil
}
