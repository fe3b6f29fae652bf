package memwatermill_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// A Router handles the messages of eight customers at once, and those of one
// customer in order.
func Example() {
	streamer := memstreamer.New()
	defer streamer.Close()
	orders, err := memwatermill.NewPubSub(streamer, memwatermill.Config{
		ConsumerGroup: "billing",
		Lanes:         8,
		LaneKey:       func(m *message.Message) string { return m.Metadata.Get("customer") },
	}, nil)
	if err != nil {
		log.Fatal(err)
	}

	router := message.NewDefaultRouter(nil)
	billed := make(chan string)
	failed := false
	router.AddConsumerHandler("bill", "orders", orders, func(m *message.Message) error {
		if !failed {
			failed = true
			return errors.New("the bank does not answer") // m comes again, and the next only then
		}
		billed <- m.UUID
		return nil
	})
	go router.Run(context.Background())
	defer router.Close()

	for _, uuid := range []string{"1", "2", "3"} {
		m := message.NewMessage(uuid, nil)
		m.Metadata.Set("customer", "Ada")
		if err := orders.Publish("orders", m); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(<-billed, <-billed, <-billed)

	// Output:
	// 1 2 3
}
