package memstreamer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/memstreamer/memstreamer"
)

// The types of an engine's connectors, as its own package declares them.
type (
	Signups interface {
		Make(ctx context.Context, consumerName string) (SignupConsumer, error)
	}
	SignupConsumer interface {
		Recv(ctx context.Context) (*Signup, SignupAck, error)
		Close() error
	}
	Signup struct {
		ID        string
		ForeignID string
		Type      string
		Headers   map[string]string
		CreatedAt time.Time
	}
	SignupAck func() error
)

// A connector may start empty. An engine's event converts to what Append takes.
func ExampleAsConnector() {
	ctx := context.Background()
	connector := memstreamer.NewConnector([]Signup(nil))
	defer connector.Close()
	var signups Signups = memstreamer.AsConnector[Signups](connector)

	consumer, err := signups.Make(ctx, "welcome")
	if err != nil {
		log.Fatal(err)
	}
	signup := Signup{ID: "e1", ForeignID: "customer-7", Type: "signed up"}
	if err := connector.Append(memstreamer.ConnectorEvent(signup)); err != nil {
		log.Fatal(err)
	}
	event, ack, err := consumer.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.ID, event.Type, event.ForeignID)
	if err := ack(); err != nil {
		log.Fatal(err)
	}
	// Output: e1 signed up customer-7
}
