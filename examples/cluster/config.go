package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// config is what the flags say.
type config struct {
	dir      string
	streamer string
	nats     string
	stream   string
	replicas int
	orders   int
}

// parse returns what is wrong with args. It prints what they can be if asked for help.
func (c *config) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.dir, "dir", "fulfilment-data", "keep the embedded server's events in `DIR`")
	flags.StringVar(&c.streamer, "streamer", "embedded", "keep events in a server inside the process, embedded, or in one elsewhere, nats")
	flags.StringVar(&c.nats, "nats", "", "`URL` of the server for -streamer nats, such as nats://127.0.0.1:4222")
	flags.StringVar(&c.stream, "stream", "FULFILMENT", "`NAME` of the JetStream stream")
	flags.IntVar(&c.replicas, "replicas", 1, "keep events on `N` servers of a cluster, for -streamer nats")
	flags.IntVar(&c.orders, "orders", 2000, "send the events of `N` orders")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, "cluster sends orders and handles them on NATS JetStream. Kill it and start it\nagain: it goes on from there.\n\n")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return err
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.orders < 1:
		return fmt.Errorf("-orders must be 1 or more, not %d", c.orders)
	case c.dir == "":
		return errors.New("-dir must not be empty")
	case c.streamer != "embedded" && c.streamer != "nats":
		return fmt.Errorf("-streamer must be embedded or nats, not %q", c.streamer)
	case c.stream == "" || strings.ContainsAny(c.stream, " \t\r\n\f.*>/\\"):
		return fmt.Errorf("-stream must be the name of a stream, without spaces and . * > / \\, not %q", c.stream)
	case c.streamer == "nats" && c.nats == "":
		return errors.New("-streamer nats needs -nats URL")
	case c.streamer == "embedded" && c.nats != "":
		return errors.New("-nats is for -streamer nats")
	case c.streamer == "embedded" && c.replicas != 1:
		return errors.New("-replicas is for -streamer nats: the embedded server is one")
	case c.replicas < 1 || c.replicas > 5:
		return fmt.Errorf("-replicas must be from 1 to 5, not %d", c.replicas)
	}
	return nil
}
