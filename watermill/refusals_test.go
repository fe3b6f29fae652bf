package memwatermill_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

func TestConfigIsValidated(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		for _, c := range []config{{}, {NackDelay: -1, Lanes: 16}, {NackDelay: time.Hour}} {
			must(c.Validate())
		}
		for says, c := range map[string]config{
			`ConsumerGroup "a#b" contains a #`:                                 {ConsumerGroup: "a#b"},
			"Lanes is -1: it must be positive":                                 {Lanes: -1},
			"MaxNackDelay is 1s: it must not be less than NackDelay, 1m0s":     {NackDelay: time.Minute, MaxNackDelay: time.Second},
			"MaxNackDelay is -1s: it must not be less than NackDelay, 100ms":   {MaxNackDelay: -time.Second},
			"CloseTimeout is -1s: it must not be negative":                     {CloseTimeout: -time.Second},
			"Lanes is -1: it must be positive\nCloseTimeout is -1s: it must n": {Lanes: -1, CloseTimeout: -time.Second},
		} {
			refused(c.Validate(), says)
			_, err := memwatermill.NewPubSub(fx.memory, c, nil)
			refused(err, "memwatermill: NewPubSub: invalid config: "+says)
		}
	})
}

func TestNewPubSubRefusesStreamers(t *testing.T) {
	type incomparable struct {
		memstreamer.EventStreamer
		_ []int
	}
	// Its type can be compared, and not each of its values.
	type wrapper struct{ memstreamer.EventStreamer }
	withFixture(t, func(fx *fixture) {
		for says, streamer := range map[string]memstreamer.EventStreamer{
			"memwatermill: NewPubSub: the streamer is nil":            nil,
			"incomparable cannot be told from another: use a pointer": incomparable{},
			"wrapper cannot be told from another: use a pointer":      wrapper{incomparable{}},
		} {
			_, err := memwatermill.NewPubSub(streamer, config{}, nil)
			refused(err, says)
		}
		_, err := memwatermill.NewPubSub(wrapper{fx.memory}, config{}, nil)
		must(err)
	})
}

func TestPublishRefuses(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		p := fx.pubSub(config{})
		a := message.NewMessage("a", nil)
		must(p.Publish(topic))
		refused(p.Publish("", a), "topic is empty")
		refused(p.Publish(topic, a, nil), "memwatermill: Publish: message 2 of 2 is nil")
		b := message.NewMessageWithContext(canceled(fx.ctx), "b", nil)
		refused(p.Publish(topic, a, b, message.NewMessage("c", nil)), `message 2 of 3, "b": context canceled`)
		in := fx.subscribe(p, topic)
		for range 2 { // of the two calls that failed
			in.next("a").Ack()
		}
		in.none()
	})
}

func TestSubscribeRefuses(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 8})
		subscribe := func(ctx context.Context, topic string) error {
			_, err := p.Subscribe(ctx, topic)
			return err
		}
		refused(subscribe(fx.ctx, ""), "topic is empty")
		refused(p.SubscribeInitialize(""), "topic is empty")
		refused(subscribe(canceled(fx.ctx), topic), "context canceled")
		must(p.Close())
		for _, err := range []error{subscribe(fx.ctx, topic), p.SubscribeInitialize(topic), p.Publish(topic)} {
			if err != memwatermill.ErrClosed {
				failf("after Close the error is %v", err)
			}
		}
	})
}

func TestLanesAreRefusedAsTopics(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 8})
		for _, lane := range []string{"orders#billing#3/8", "orders#billing#16/16", "orders#1/2#billing#8/10", "#1/1"} {
			says := `: topic "` + lane + `" is named like a lane of a consumer group`
			refused(p.Publish(lane, message.NewMessage("a", nil)), "memwatermill: Publish"+says)
			refused(p.SubscribeInitialize(lane), "memwatermill: SubscribeInitialize"+says)
			_, err := p.Subscribe(fx.ctx, lane)
			refused(err, "memwatermill: Subscribe"+says)
		}
		for _, topic := range []string{"#", "orders#billing", "orders#billing#3/8/", "3/8", "orders#0/8", "orders#billing#3/8#"} {
			fx.subscribe(p, topic)
			fx.publish(topic, "a")
		}
	})
}

func TestGroupHasOneNumberOfLanes(t *testing.T) {
	withFixture(t, func(fx *fixture) {
		eight := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 8})
		four := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 4})
		fx.subscribe(eight, topic)
		_, err := four.Subscribe(fx.ctx, topic)
		refused(err, `memwatermill: Subscribe: group "billing" has 8 lanes on topic "orders": another subscriber cannot have 4`)
		fx.subscribe(four, "another")
		must(eight.Close())
		fx.subscribe(four, topic)
	})
}
