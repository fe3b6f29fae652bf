package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// signalError is the cause of a context that a signal has ended.
type signalError struct{ syscall.Signal }

func (e signalError) Error() string { return e.String() }

// Signals returns a context that the first interrupt or SIGTERM ends, with the name of
// the signal as its cause. The second ends the process, as it does by default.
func Signals() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		cancel(signalError{s.(syscall.Signal)})
	}()
	return ctx
}

// SignalStatus returns the exit status of a program whose context a signal has ended, as
// shells have it: 130 after an interrupt, 143 after SIGTERM. It reports false if none has.
func SignalStatus(ctx context.Context) (status int, ok bool) {
	signal, ok := errors.AsType[signalError](context.Cause(ctx))
	if !ok {
		return 0, false
	}
	return 128 + int(signal.Signal), true
}
