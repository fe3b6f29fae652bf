// Package cli has the programs of this repository start, refuse flags that make
// no sense, and exit alike.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses.
const (
	OK          = 0
	Failed      = 1
	Usage       = 2
	Interrupted = 130 // as shells have it
)

// Main is the main function of a program: run returns its exit status. An
// interrupt, or a request to terminate, ends run's context; a second one ends the
// program at once.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal is handled; the next does what it does by default.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Parse parses args, and then calls check, which returns what is wrong with them.
// It reports whether the program is to go on, and the exit status if it is not:
// OK after help, which begins with about and goes to stdout, and Usage after a
// mistake, which stderr is told.
func Parse(flags *flag.FlagSet, about string, args []string, check func() error, stdout, stderr io.Writer) (status int, goOn bool) {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if err == nil {
		err = check()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "%s\n\nUsage: %s [flags]\n\n", about, flags.Name())
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return OK, false
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n%[1]s -h lists the flags.\n", flags.Name(), err)
		return Usage, false
	}
	return OK, true
}
