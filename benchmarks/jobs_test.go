package benchmarks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

const topic = "order-fulfilment-3"

// pass has one sender pass events to receivers, each of which takes and acks
// all of them and checks that it gets each once and, where the peer promises
// it, in order.
func pass(ctx context.Context, sender Sender, receivers []Receiver, events int, ordered bool) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range receivers {
		group.Go(func() error {
			seen := make([]bool, events)
			for want := range events {
				foreignID, ack, err := r.Recv(ctx)
				if err != nil {
					return fmt.Errorf("receiver %d: event %d of %d: %w", i, want, events, err)
				}
				n, err := number(foreignID)
				if err != nil {
					return err
				}
				switch {
				case n < 0 || n >= events:
					return fmt.Errorf("receiver %d: got event %d, which was not sent", i, n)
				case seen[n]:
					return fmt.Errorf("receiver %d: got event %d twice", i, n)
				case ordered && n != want:
					return fmt.Errorf("receiver %d: got event %d, want %d", i, n, want)
				}
				seen[n] = true
				if err := ack(); err != nil {
					return fmt.Errorf("receiver %d: ack of event %d: %w", i, n, err)
				}
			}
			return nil
		})
	}
	group.Go(func() error { return sendAll(ctx, sender, events) })
	return group.Wait()
}

// number is the n that baseline.Outbox made foreignID of.
func number(foreignID string) (int, error) {
	digits, ok := strings.CutPrefix(foreignID, "order-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is no foreign ID of an outbox", foreignID)
	}
	return n - 1_000_000, nil
}

func sendAll(ctx context.Context, sender Sender, events int) error {
	if bulk, ok := sender.(BulkSender); ok {
		return bulk.SendAll(ctx, events)
	}
	for n := range events {
		if err := sender.Send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// take receives and acks one event.
func take(ctx context.Context, r Receiver) error {
	_, ack, err := r.Recv(ctx)
	if err != nil {
		return err
	}
	return ack()
}

// open returns a broker of peer and the context of its receivers. The function
// that it returns too ends that context and closes the broker.
func open(tb testing.TB, peer Peer) (context.Context, Broker, func()) {
	tb.Helper()
	broker, err := peer.New()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, broker, func() {
		cancel()
		if err := broker.Close(); err != nil {
			tb.Error(err)
		}
	}
}

// openFor is open until tb ends.
func openFor(tb testing.TB, peer Peer) (context.Context, Broker) {
	tb.Helper()
	ctx, broker, end := open(tb, peer)
	tb.Cleanup(end)
	return ctx, broker
}

func newSender(tb testing.TB, broker Broker, topic string) Sender {
	tb.Helper()
	sender, err := broker.NewSender(topic)
	if err != nil {
		tb.Fatal(err)
	}
	return sender
}

func newReceiver(tb testing.TB, ctx context.Context, broker Broker, topic, name string) Receiver {
	tb.Helper()
	receiver, err := broker.NewReceiver(ctx, topic, name)
	if err != nil {
		tb.Fatal(err)
	}
	return receiver
}

func newReceivers(tb testing.TB, ctx context.Context, broker Broker, topic string, receivers int) []Receiver {
	tb.Helper()
	all := make([]Receiver, receivers)
	for i := range all {
		all[i] = newReceiver(tb, ctx, broker, topic, "n"+strconv.Itoa(i))
	}
	return all
}
