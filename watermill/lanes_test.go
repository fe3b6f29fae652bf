package memwatermill_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/judge"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
	"github.com/memstreamer/memstreamer/watermill/internal/hooked"
)

// handled has two subscribers of a group take 2 ms for each of a thousand messages
// of 100 keys, as a Router does: each in a goroutine of its own. Half of them were
// published before.
func (fx *fixture) handled(lanes int) *judge.Ledger {
	const messages, keys = 1000, 100
	c := config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: lastTwo}
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			fx.publish(topic, fmt.Sprintf("%02d-%02d", i/keys, i%keys))
		}
	}
	ledger := judge.NewLedger(messages)
	publish(0, messages/2)
	for range 2 {
		in := fx.subscribe(fx.pubSub(c), topic)
		go func() {
			for m := range in {
				go ledger.Handle(lastTwo(m), m.UUID, 2*time.Millisecond, m.Ack)
			}
		}()
	}
	publish(messages/2, messages)
	select {
	case <-ledger.All:
	case <-time.After(forever):
	}
	return ledger
}

// lastTwo is the key of the tests: the end of a message's UUID.
func lastTwo(m *message.Message) string { return m.UUID[max(0, len(m.UUID)-2):] }

func oneInFlight(fx *fixture) { must(fx.handled(1).Check(1)) }

func lanesKeepKeysInOrder(fx *fixture) {
	const lanes, most = 16, 400 * time.Millisecond
	start := time.Now()
	ledger := fx.handled(lanes)
	took := time.Since(start)
	must(ledger.Check(lanes))
	if took > most {
		failf("the messages were handled in %v, and not in %v", took, most)
	}
}

func stuckHoldsItsLane(fx *fixture) {
	const lanes = 8
	for _, group := range []string{"", "billing"} {
		topic := topic + group
		in := fx.subscribe(fx.pubSub(config{ConsumerGroup: group, Lanes: lanes}), topic)
		fx.publish(topic, "stuck")
		in.next("stuck")
		for i := range 100 {
			uuid := fmt.Sprint(i)
			fx.publish(topic, uuid)
			if memwatermill.LaneOf(uuid, lanes) != memwatermill.LaneOf("stuck", lanes) {
				in.next(uuid).Ack()
			}
		}
		in.none()
	}
}

// othersTakeOver closes one of two PubSubs of a group, which has dealt and had
// its turns. The other goes on alone.
func othersTakeOver(fx *fixture) {
	eachGroup(func(c config, topic string) {
		first := fx.pubSub(c)
		fx.publish(topic, "a")
		fx.subscribe(first, topic).next("a").Ack()
		in := fx.subscribe(fx.pubSub(c), topic)
		now()
		must(first.Close())
		for i := range 20 {
			uuid := fmt.Sprint(i)
			fx.publish(topic, uuid)
			in.next(uuid).Ack()
		}
		in.none()
	})
}

// lanesChange changes the number of lanes again and again while messages wait in
// them. None may be lost, handled twice, or handled out of its key's order.
func lanesChange(fx *fixture) {
	const messages, keys, each = 200, 10, 10
	for i := range messages {
		fx.publish(topic, fmt.Sprintf("%02d-%02d", i/keys, i%keys))
	}
	ledger := judge.NewLedger(messages)
	take := func(lanes, n int) {
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: lanes, LaneKey: lastTwo})
		in := fx.subscribe(p, topic)
		now()
		for range n {
			m, _ := in.take()
			if m == nil {
				failf("with %d lanes a message did not come", lanes)
			}
			ledger.Handle(lastTwo(m), m.UUID, 0, m.Ack)
		}
		must(p.Close())
	}
	changes := []int{1, 8, 3, 3, 1, 1, 16, 2}
	for _, lanes := range changes {
		take(lanes, each)
	}
	take(1, messages-each*len(changes))
	must(ledger.Check(1))
	fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic).none()
}

// leaveInLanes has messages wait in one of the eight lanes of a group that has
// ended.
func (fx *fixture) leaveInLanes() {
	p, err := memwatermill.NewPubSub(fx.memory, config{ConsumerGroup: "billing", Lanes: 8, LaneKey: sameKey}, nil)
	must(err)
	for _, uuid := range []string{"a", "b", "c", "d"} {
		must(p.Publish(topic, message.NewMessage(uuid, nil)))
	}
	fx.subscribe(p, topic)
	now()
	must(p.Close())
}

// drainsItsOwn has others read the lanes of another number, under the group's name:
// two ephemeral receivers, of which one acks nothing and the other all.
func drainsItsOwn(fx *fixture) {
	fx.leaveInLanes()
	for _, row := range fx.memory.Stats().Receivers {
		for _, acks := range []int64{0, row.Lag} {
			r, err := fx.memory.NewReceiver(fx.ctx, row.Topic, row.Name, memstreamer.Ephemeral())
			must(err)
			for range acks {
				_, ack, err := r.Recv(fx.ctx)
				must(err)
				must(ack())
			}
		}
	}
	ctx, cancel := context.WithTimeout(fx.ctx, forever)
	defer cancel()
	messages, err := fx.pubSub(config{ConsumerGroup: "billing"}).Subscribe(ctx, topic)
	must(err)
	for _, uuid := range []string{"a", "b", "c", "d"} {
		deliveries(messages).next(uuid).Ack()
	}
	deliveries(messages).none()
}

// drainsOnce has the second subscriber of a group come when the lanes of another
// number, which the first found full, are empty. It must go on where the first has
// ended: in a lane.
func drainsOnce(fx *fixture) {
	fx.leaveInLanes()
	first := fx.pubSub(config{ConsumerGroup: "billing"})
	in := fx.subscribe(first, topic)
	for range 4 {
		(<-in).Ack()
	}
	now()
	in = fx.subscribe(fx.pubSub(config{ConsumerGroup: "billing"}), topic)
	fx.publish(topic, "e")
	now()
	must(first.Close())
	in.next("e").Ack()
}

// drainingHoldsNobody has the first subscriber of a group unable to drain the lanes
// of another number, while a second waits for that.
func drainingHoldsNobody(fx *fixture) {
	fx.leaveInLanes()
	fx.beneath = hooked.Wrap(fx.memory, hooked.Hooks{
		Send: func(context.Context, *hooked.Sender, hooked.Outgoing) error { return errFlaky },
	})
	var subscribed []<-chan error
	var cancels []context.CancelFunc
	for range 2 {
		p := fx.pubSub(config{ConsumerGroup: "billing"})
		ctx, cancel := context.WithCancel(fx.ctx)
		defer cancel()
		cancels = append(cancels, cancel)
		subscribed = append(subscribed, start(func() error {
			_, err := p.Subscribe(ctx, topic)
			return err
		}))
		now()
	}
	for _, i := range []int{1, 0} {
		cancels[i]()
		now()
		select {
		case err := <-subscribed[i]:
			refused(err, context.Canceled.Error())
		default:
			failf("Subscribe waits on after the end of its context")
		}
	}
}

// lanesExpireWhileDraining has what waits in the lanes of another number expire
// after it was counted, and before it is received.
func lanesExpireWhileDraining(fx *fixture) {
	fx.memory = memstreamer.New(memstreamer.WithRetention(time.Hour))
	fx.leaveInLanes()
	fx.beneath = &counted{fx.memory, func() memstreamer.Stats {
		defer time.Sleep(2 * time.Hour)
		return fx.memory.Stats()
	}}
	p := fx.pubSub(config{ConsumerGroup: "billing"})
	ctx, cancel := context.WithTimeout(fx.ctx, forever)
	defer cancel()
	messages, err := p.Subscribe(ctx, topic)
	must(err)
	fx.publish(topic, "new")
	deliveries(messages).next("new").Ack()
}

// counted is a streamer whose Stats are stats.
type counted struct {
	memstreamer.EventStreamer
	stats func() memstreamer.Stats
}

func (c *counted) Stats() memstreamer.Stats { return c.stats() }
