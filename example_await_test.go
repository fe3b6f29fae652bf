package memstreamer_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/memstreamer/memstreamer"
)

// FromTheStart drops the options of receivers whose names begin with "await-", and
// so their StreamFromLatest: what finished before they were opened is there for
// them.
type FromTheStart struct{ memstreamer.EventStreamer }

func (s FromTheStart) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if strings.HasPrefix(name, "await-") {
		opts = nil
	}
	return s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
}

// An engine's Await may subscribe from the latest event only, and miss a run that
// finishes first. Wrapped, the streamer lets it see what came before.
func Example_await() {
	ctx := context.Background()
	streamer := FromTheStart{memstreamer.New()}
	sender, err := streamer.NewSender(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, "order-7", 3, nil); err != nil {
		log.Fatal(err)
	}
	receiver, err := streamer.NewReceiver(ctx, "orders", "await-order-7", memstreamer.StreamFromLatest())
	if err != nil {
		log.Fatal(err)
	}
	event, _, err := receiver.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ForeignID, "has finished")
	// Output: order-7 has finished
}
