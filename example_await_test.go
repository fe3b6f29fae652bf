package memstreamer_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

// Awaits gives receivers whose names begin with "await-" positions of their own, which
// start a minute ago: what finished shortly before they were opened is there for each
// of them, and no name stays behind.
type Awaits struct{ memstreamer.EventStreamer }

func (s Awaits) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	if strings.HasPrefix(name, "await-") {
		opts = []memstreamer.ReceiverOption{memstreamer.Ephemeral(), memstreamer.StreamFromLast(time.Minute)}
	}
	return s.EventStreamer.NewReceiver(ctx, topic, name, opts...)
}

// An engine's Await may subscribe from the latest event only, and miss a run that
// finishes first. Wrapped, the streamer lets it see what came before. Package luno
// does this for luno/workflow.
func Example_await() {
	ctx := context.Background()
	streamer := Awaits{memstreamer.New()}
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
