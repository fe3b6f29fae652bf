package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/durable"
)

// config is what the flags say.
type config struct {
	streamer string
	dir      string
	nats     string
	stream   string
	replicas int
	orders   durable.Orders
}

// parseFlags reports what is wrong with args on stderr, as the flag package
// does, and returns [flag.ErrHelp] for a request for help.
func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "example takes orders through a workflow whose events are on NATS JetStream. Kill it\nand start it again: it goes on from there.\n\nUsage: example [flags]\n\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&c.streamer, "streamer", "embedded", "keep events in a server inside the process, embedded, or in one elsewhere, nats")
	flags.StringVar(&c.dir, "dir", "fulfilment-data", "keep the orders, and the embedded server's events, in `DIR`")
	flags.StringVar(&c.nats, "nats", "", "`URL` of the server for -streamer nats, such as nats://127.0.0.1:4222")
	flags.StringVar(&c.stream, "stream", "FULFILMENT", "`NAME` of the JetStream stream")
	flags.IntVar(&c.replicas, "replicas", 1, "keep events on `N` servers of a cluster, for -streamer nats")
	flags.StringVar(&c.orders.File, "in", "", "read orders as JSON lines from `FILE` (default the embedded sample)")
	flags.IntVar(&c.orders.Repeat, "repeat", 50, "go through the embedded sample `N` times, with new order IDs each time")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: orders are read from -in FILE", flags.Arg(0))
	case c.streamer != "embedded" && c.streamer != "nats":
		err = fmt.Errorf("-streamer must be embedded or nats, not %q", c.streamer)
	case c.stream == "" || strings.ContainsAny(c.stream, " \t\r\n\f.*>/\\"):
		err = fmt.Errorf("-stream must be the name of a stream, without spaces and . * > / \\, not %q", c.stream)
	case c.dir == "":
		err = errors.New("-dir must not be empty")
	case c.streamer == "nats" && c.nats == "":
		err = errors.New("-streamer nats needs -nats URL")
	case c.streamer == "embedded" && c.nats != "":
		err = errors.New("-nats is for -streamer nats")
	case c.streamer == "embedded" && c.replicas != 1:
		err = errors.New("-replicas is for -streamer nats: the embedded server is one")
	case c.replicas < 1 || c.replicas > 5:
		err = fmt.Errorf("-replicas must be from 1 to 5, not %d", c.replicas)
	case c.orders.Repeat < 1:
		err = fmt.Errorf("-repeat must be 1 or more, not %d", c.orders.Repeat)
	}
	if err != nil {
		fmt.Fprintf(stderr, "example: %v\nexample -h lists the flags.\n", err)
	}
	return c, err
}
