package embedded_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/memstreamer/memstreamer/jetstream"
	"github.com/memstreamer/memstreamer/jetstream/embedded"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// A server in the process, an event that it keeps, and a receiver of it after a
// restart.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	open := func() (*jetstream.Streamer, func() error) {
		conn, stop, err := embedded.Start(dir)
		if err != nil {
			log.Fatal(err)
		}
		js, err := natsjs.New(conn)
		if err != nil {
			log.Fatal(err)
		}
		streamer, err := jetstream.New(ctx, js, jetstream.WithStream("ORDERS"))
		if err != nil {
			log.Fatal(err)
		}
		return streamer, stop
	}

	streamer, stop := open()
	sender, err := streamer.NewSender(ctx, "placed")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, "order-1001", 1, nil); err != nil {
		log.Fatal(err)
	}
	streamer.Close()
	stop()

	streamer, stop = open()
	receiver, err := streamer.NewReceiver(ctx, "placed", "confirm")
	if err != nil {
		log.Fatal(err)
	}
	event, ack, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ID, event.ForeignID)
	fmt.Println(ack())
	streamer.Close()
	stop()
	// Output:
	// 1 order-1001
	// <nil>
}
