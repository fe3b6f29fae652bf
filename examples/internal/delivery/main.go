package delivery

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/memstreamer/memstreamer/examples/internal/cli"
	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
)

// Command is one of the commands.
type Command struct {
	Name  string
	About string // for -h
	// Flags adds flags to -dir, -orders and -rate. Check returns what is wrong with them.
	Flags func(*flag.FlagSet)
	Check func() error
	// Run opens in dir what d lacks, calls its Run, and closes it.
	Run func(ctx context.Context, dir string, d *Delivery, orders []fulfilment.Order) error

	Stdout   io.Writer
	Progress *cli.Progress
}

// Main returns the exit status: 0 when all orders were delivered, 1 after a failure, 2
// when args make no sense, and that of the signal that has ended ctx.
func (c *Command) Main(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("dir", "", "keep everything in `DIR`, which is made if it is not there")
	file := flags.String("orders", "", "read orders from `FILE`, a JSON line each (default a sample of 100)")
	rate := flags.Int("rate", 25, "place `N` orders a second, 0 for all at once")
	c.Flags(flags)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(c.Stdout, "%s\n\nUsage: go run -C examples ./%s -dir DIR [flags]\n\n", c.About, c.Name)
		flags.SetOutput(c.Stdout)
		flags.PrintDefaults()
		return 0
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *dir == "":
		err = errors.New("-dir DIR is needed: what is kept there is found again")
	case *rate < 0 || *rate > 10_000:
		err = fmt.Errorf("-rate must be from 0 to 10000, not %d", *rate)
	default:
		err = c.Check()
	}
	if err != nil {
		c.Progress.Say("%s: %v\n%s -h lists the flags.", c.Name, err, c.Name)
		return 2
	}
	orders, err := readFile(*file)
	if err == nil {
		err = c.Run(ctx, *dir, &Delivery{Rate: *rate, Progress: c.Progress, Stdout: c.Stdout}, orders)
	}
	if err != nil {
		c.Progress.Say("%s: %v", c.Name, err)
		return 1
	}
	status, _ := cli.SignalStatus(ctx)
	return status
}

// readFile returns the orders of a file, or of the sample if it has no name.
func readFile(name string) ([]fulfilment.Order, error) {
	if name == "" {
		return fulfilment.ReadOrders(fulfilment.Sample())
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	orders, err := fulfilment.ReadOrders(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return orders, nil
}
