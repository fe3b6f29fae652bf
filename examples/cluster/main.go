// Command cluster has a queue of orders on a streamer that outlives the process:
//
//	go run -C examples ./cluster -dir data
//	go run -C examples ./cluster -streamer nats -nats nats://127.0.0.1:4222
//
// It sends the events of some orders, and handles all that are there, those that an
// earlier start has left first. Kill it in the middle, in whatever way, and start it
// again: it goes on from there. With -streamer embedded the events are in -dir, and
// the last that were acked before a kill may come again. With -streamer nats they are
// in a stream of that server.
//
// The exit status is 0 when all orders were handled, 1 after a failure, and 2 when the
// flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program without its process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c config
	switch err := c.parse(args, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "cluster: %v\n", err)
		return 2
	}
	if err := c.run(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "cluster: %v\n", err)
		return 1
	}
	return 0
}

func (c *config) run(ctx context.Context, stdout io.Writer) (err error) {
	conn, disconnect, err := c.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disconnect()) }()
	js, err := natsjs.New(conn)
	if err != nil {
		return err
	}
	streamer, err := jetstream.New(ctx, js, jetstream.WithStream(c.stream), jetstream.WithReplicas(c.replicas))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, streamer.Close()) }()
	return handle(ctx, streamer, c.orders, stdout)
}

// handle sends so many events, and handles all events up to the last of them.
func handle(ctx context.Context, streamer memstreamer.EventStreamer, orders int, stdout io.Writer) error {
	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		return err
	}
	// Those of earlier starts have another time.
	start := time.Now().Format(time.RFC3339Nano)
	for i := range orders {
		if err := sender.Send(ctx, fmt.Sprintf("%s/%d", start, i+1), 1, nil); err != nil {
			return err
		}
	}
	receiver, err := streamer.NewReceiver(ctx, "orders", "example")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "sent %d orders\n", orders)
	earlier := 0
	for own := 0; own < orders; {
		event, ack, err := receiver.Recv(ctx)
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond) // the work that an order takes
		if err := ack(); err != nil {
			return err
		}
		if strings.HasPrefix(event.ForeignID, start) {
			own++
		} else {
			earlier++
		}
		if (own+earlier)%100 == 0 {
			fmt.Fprintf(stdout, "handled %d\n", own+earlier)
		}
	}
	fmt.Fprintf(stdout, "handled %d orders, of which an earlier start had left %d\n", orders+earlier, earlier)
	return errors.Join(receiver.Close(), sender.Close())
}

func (c *config) connect() (*nats.Conn, func() error, error) {
	if c.streamer == "embedded" {
		return embedded.Start(c.dir)
	}
	conn, err := nats.Connect(c.nats, nats.Name("cluster"), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", c.nats, err)
	}
	return conn, func() error {
		conn.Close()
		return nil
	}, nil
}
