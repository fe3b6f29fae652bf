// Command pubsub takes orders through Watermill's Router and CQRS component on a
// memstreamer: a command places an order, which is charged, in 16 lanes by
// customer, and shipped. Some charges fail at first and are retried, and some
// cards are declined, whose orders go to a poison queue.
//
//	go run -C examples ./pubsub
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	orders := flag.Int("orders", 1000, "place `N` orders")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, "Pubsub takes orders through Watermill's Router on a memstreamer, and prints what became of them.\n\nUsage: go run -C examples ./pubsub [-orders N]\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *orders < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "pubsub: -orders must be positive, and there are no arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *orders, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pubsub:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, orders int, out io.Writer) error {
	shop, err := newShop(orders)
	if err != nil {
		return err
	}
	defer shop.close()
	ended := make(chan error, 1)
	go func() { ended <- shop.router.Run(ctx) }()
	select {
	case <-shop.router.Running():
	case err := <-ended:
		return err
	}

	fmt.Fprintf(out, "placing %d orders of %d customers; for one in 10 the bank does not answer at first, and it declines one in 50\n", orders, customers)
	start := time.Now()
	for i := range orders {
		if err := shop.commands.Send(ctx, newOrder(i)); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "placed in %v; charging takes 2 ms a try, in %d lanes by customer\n", time.Since(start).Round(time.Millisecond), lanes)
	select {
	case <-shop.done:
	case err := <-ended:
		return errors.Join(errors.New("the router ended before all orders were shipped or declined"), err)
	}
	fmt.Fprintf(out, "all shipped or declined after %v\n\n", time.Since(start).Round(time.Millisecond))
	if err := shop.router.Close(); err != nil {
		return err
	}
	return shop.report(out)
}
