// Example takes orders through Watermill's Router and CQRS component on a
// memstreamer: a command places an order, which is charged, in 16 lanes by
// customer, and shipped. Some charges fail at first and are retried, and some
// cards are declined, whose orders go to a poison queue.
//
//	go run ./example
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	orders := flag.Int("orders", 1000, "place `N` orders")
	flag.Parse()
	if *orders < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "example: -orders must be positive, and there are no arguments")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, *orders, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
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

	fmt.Fprintf(out, "placing %d orders of %d customers\n", orders, customers)
	start := time.Now()
	for i := range orders {
		if err := shop.commands.Send(ctx, newOrder(i)); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "placed in %v; waiting until each is shipped or declined\n", time.Since(start).Round(time.Millisecond))
	select {
	case <-shop.done:
	case err := <-ended:
		return fmt.Errorf("the router ended with orders open: %w", err)
	}
	fmt.Fprintf(out, "done after %v\n\n", time.Since(start).Round(time.Millisecond))
	if err := shop.router.Close(); err != nil {
		return err
	}
	return shop.report(out)
}
