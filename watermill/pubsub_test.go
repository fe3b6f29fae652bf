package memwatermill_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

func TestConfigIsValidated(t *testing.T) {
	for _, c := range []config{{}, {NackDelay: -1, Lanes: 16}, {NackDelay: time.Hour}} {
		require.NoError(t, c.Validate())
	}
	for says, c := range map[string]config{
		`ConsumerGroup "a#b" contains a #`:                                        {ConsumerGroup: "a#b"},
		"Lanes is -1: it must be positive":                                        {Lanes: -1},
		"MaxNackDelay is 1s: it must not be less than NackDelay, 1m0s":            {NackDelay: time.Minute, MaxNackDelay: time.Second},
		"MaxNackDelay is -1s: it must not be less than NackDelay, 100ms":          {MaxNackDelay: -time.Second},
		"CloseTimeout is -1s: it must not be negative":                            {CloseTimeout: -time.Second},
		"Lanes is -1: it must be positive\nCloseTimeout is -1s: it must not be n": {Lanes: -1, CloseTimeout: -time.Second},
	} {
		require.ErrorContains(t, c.Validate(), says)
		_, err := memwatermill.NewPubSub(memstreamer.New(), c, nil)
		require.ErrorContains(t, err, "memwatermill: NewPubSub: invalid config: "+says)
	}
}

func TestNewPubSubRefusesStreamers(t *testing.T) {
	type incomparable struct {
		memstreamer.EventStreamer
		_ []int
	}
	// Its type can be compared, and not each of its values.
	type wrapper struct{ memstreamer.EventStreamer }
	for says, streamer := range map[string]memstreamer.EventStreamer{
		"memwatermill: NewPubSub: the streamer is nil":            nil,
		"incomparable cannot be told from another: use a pointer": incomparable{},
		"wrapper cannot be told from another: use a pointer":      wrapper{incomparable{}},
	} {
		_, err := memwatermill.NewPubSub(streamer, config{}, nil)
		require.ErrorContains(t, err, says)
	}
	_, err := memwatermill.NewPubSub(wrapper{memstreamer.New()}, config{}, nil)
	require.NoError(t, err)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestPublishRefuses(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		p := fx.pubSub(config{})
		a := message.NewMessage("a", nil)
		require.NoError(t, p.Publish(topic))
		require.ErrorContains(t, p.Publish("", a), "topic is empty")
		require.ErrorContains(t, p.Publish(topic, a, nil), "memwatermill: Publish: message 2 of 2 is nil")
		b := message.NewMessageWithContext(canceled(), "b", nil)
		require.ErrorContains(t, p.Publish(topic, a, b, message.NewMessage("c", nil)), `message 2 of 3, "b": context canceled`)
		fx.subscribe(p, topic).acked("a", "a") // of the two calls that failed
	})
}

func TestSubscribeRefuses(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 8})
		subscribe := func(ctx context.Context, topic string) error {
			_, err := p.Subscribe(ctx, topic)
			return err
		}
		require.ErrorContains(t, subscribe(fx.ctx, ""), "topic is empty")
		require.ErrorContains(t, p.SubscribeInitialize(""), "topic is empty")
		require.ErrorContains(t, subscribe(canceled(), topic), "context canceled")
		require.Empty(t, fx.memory.Stats().Topics)
		fx.subscribe(fx.pubSub(billing), topic) // those that failed are not of the group
		require.NoError(t, p.Close())
		for _, err := range []error{subscribe(fx.ctx, topic), p.SubscribeInitialize(topic), p.Publish(topic)} {
			require.Equal(t, memwatermill.ErrClosed, err)
		}
	})
}

func TestLanesAreRefusedAsTopics(t *testing.T) {
	inBubble(t, func(fx *fixture) {
		p := fx.pubSub(config{ConsumerGroup: "billing", Lanes: 8})
		for _, lane := range []string{"orders#billing#3/8", "orders#billing#16/16", "orders#1/2#billing#8/10", "#1/1"} {
			says := `: topic "` + lane + `" is named like a lane of a consumer group`
			require.ErrorContains(t, p.Publish(lane, message.NewMessage("a", nil)), "memwatermill: Publish"+says)
			require.ErrorContains(t, p.SubscribeInitialize(lane), "memwatermill: SubscribeInitialize"+says)
			_, err := p.Subscribe(fx.ctx, lane)
			require.ErrorContains(t, err, "memwatermill: Subscribe"+says)
		}
		for _, topic := range []string{"#", "orders#billing", "orders#billing#3/8/", "3/8", "orders#0/8", "orders#billing#3/8#"} {
			fx.subscribe(p, topic)
			fx.publish(topic, "a")
		}
	})
}

func TestLogger(t *testing.T) {
	logger := watermill.NewCaptureLogger()
	p, err := memwatermill.NewPubSub(memstreamer.New(), config{ConsumerGroup: "billing", CloseTimeout: 1, NackDelay: -1}, logger)
	require.NoError(t, err)
	require.NoError(t, p.Publish(topic, message.NewMessage("a", nil)))
	messages, err := p.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	(<-messages).Nack()
	<-messages
	require.NoError(t, p.Close())
	fields := watermill.LogFields{"consumer_group": "billing", "topic": topic}
	for _, want := range []watermill.CapturedMessage{
		{Level: watermill.DebugLogLevel, Msg: "Subscribed"},
		{Level: watermill.DebugLogLevel, Msg: "Message nacked", Fields: watermill.LogFields{"message_uuid": "a", "failures": 1, "delay": time.Duration(0)}},
		{Level: watermill.InfoLogLevel, Msg: "Message neither acked nor nacked within CloseTimeout: it will be delivered again", Fields: watermill.LogFields{"message_uuid": "a"}},
		{Level: watermill.DebugLogLevel, Msg: "Subscription ended"},
	} {
		want.Fields = fields.Add(want.Fields)
		require.True(t, logger.Has(want), "%v is not in %v", want, logger.Captured())
	}
}
