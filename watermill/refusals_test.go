package memwatermill_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

func newPubSub(t *testing.T, config memwatermill.Config) *memwatermill.PubSub {
	p, err := memwatermill.NewPubSub(memstreamer.New(), config, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestConfigIsValidated(t *testing.T) {
	require.NoError(t, memwatermill.Config{}.Validate())
	require.NoError(t, memwatermill.Config{NackDelay: -1, Lanes: 16}.Validate())
	require.NoError(t, memwatermill.Config{NackDelay: time.Hour}.Validate())
	for says, config := range map[string]memwatermill.Config{
		`ConsumerGroup "a#b" contains a #`:                                 {ConsumerGroup: "a#b"},
		"Lanes is -1: it must be positive":                                 {Lanes: -1},
		"MaxNackDelay is 1s: it must not be less than NackDelay, 1m0s":     {NackDelay: time.Minute, MaxNackDelay: time.Second},
		"MaxNackDelay is -1s: it must not be less than NackDelay, 100ms":   {MaxNackDelay: -time.Second},
		"CloseTimeout is -1s: it must not be negative":                     {CloseTimeout: -time.Second},
		"Lanes is -1: it must be positive\nCloseTimeout is -1s: it must n": {Lanes: -1, CloseTimeout: -time.Second},
	} {
		require.ErrorContains(t, config.Validate(), says)
		_, err := memwatermill.NewPubSub(memstreamer.New(), config, nil)
		require.ErrorContains(t, err, "memwatermill: NewPubSub: invalid config: "+says)
	}
}

func TestNewPubSubRefusesStreamers(t *testing.T) {
	_, err := memwatermill.NewPubSub(nil, memwatermill.Config{}, nil)
	require.EqualError(t, err, "memwatermill: NewPubSub: the streamer is nil")

	type incomparable struct {
		memstreamer.EventStreamer
		_ []int
	}
	_, err = memwatermill.NewPubSub(incomparable{}, memwatermill.Config{}, nil)
	require.ErrorContains(t, err, "incomparable cannot be told from another: use a pointer")

	// Its type can be compared, and its value cannot.
	type wrapper struct{ memstreamer.EventStreamer }
	_, err = memwatermill.NewPubSub(wrapper{incomparable{}}, memwatermill.Config{}, nil)
	require.ErrorContains(t, err, "wrapper cannot be told from another: use a pointer")
	_, err = memwatermill.NewPubSub(wrapper{memstreamer.New()}, memwatermill.Config{}, nil)
	require.NoError(t, err)
}

func TestPublishRefuses(t *testing.T) {
	p := newPubSub(t, memwatermill.Config{})
	require.NoError(t, p.Publish(topic))
	require.ErrorContains(t, p.Publish("", texts("a")...), "topic is empty")
	require.EqualError(t, p.Publish(topic, message.NewMessage("a", nil), nil), "memwatermill: Publish: message 2 of 2 is nil")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Publish(topic, message.NewMessage("a", nil), message.NewMessageWithContext(ctx, "b", nil), message.NewMessage("c", nil))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, `message 2 of 3, "b"`)
	messages, err := p.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	for range 2 { // of the two calls that failed
		m := <-messages
		require.Equal(t, "a", m.UUID)
		m.Ack()
	}
}

func TestSubscribeRefuses(t *testing.T) {
	p := newPubSub(t, memwatermill.Config{ConsumerGroup: "billing", Lanes: 8})
	_, err := p.Subscribe(t.Context(), "")
	require.ErrorContains(t, err, "topic is empty")
	require.ErrorContains(t, p.SubscribeInitialize(""), "topic is empty")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Subscribe(ctx, topic)
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, p.Close())
	_, err = p.Subscribe(t.Context(), topic)
	require.ErrorIs(t, err, memwatermill.ErrClosed)
	require.ErrorIs(t, p.SubscribeInitialize(topic), memwatermill.ErrClosed)
	require.ErrorIs(t, p.Publish(topic), memwatermill.ErrClosed)
}

// TestCloseDoesNotWaitForPublish has a streamer that does not answer a Send.
func TestCloseDoesNotWaitForPublish(t *testing.T) {
	sending, answer := make(chan struct{}), make(chan struct{})
	p, err := memwatermill.NewPubSub(&wrapped{
		EventStreamer: memstreamer.New(),
		send: func(send func() error) error {
			close(sending)
			<-answer
			return send()
		},
	}, memwatermill.Config{}, nil)
	require.NoError(t, err)
	published, closed := make(chan error), make(chan error, 1)
	go func() { published <- p.Publish(topic, texts("a")...) }()
	<-sending
	go func() { closed <- p.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Error("Close has not returned")
	}
	close(answer)
	require.NoError(t, <-published)
}

// TestCloseEndsSubscribe has a streamer that does not answer a NewReceiver.
func TestCloseEndsSubscribe(t *testing.T) {
	for _, group := range []string{"", "billing"} {
		streamer := &unanswering{EventStreamer: memstreamer.New(), asked: make(chan struct{})}
		p, err := memwatermill.NewPubSub(streamer, memwatermill.Config{ConsumerGroup: group}, nil)
		require.NoError(t, err)
		subscribed := make(chan error, 1)
		go func() {
			_, err := p.Subscribe(t.Context(), topic)
			subscribed <- err
		}()
		<-streamer.asked
		require.NoError(t, p.Close())
		require.Equal(t, memwatermill.ErrClosed, <-subscribed)
	}
}

// unanswering is a streamer whose NewReceiver waits for the end of its context.
type unanswering struct {
	memstreamer.EventStreamer
	asked chan struct{}
}

func (u *unanswering) NewReceiver(ctx context.Context, _, _ string, _ ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	close(u.asked)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestFailingStreamerIsNotPressed has a streamer fail, and no pause after a Nack.
func TestFailingStreamerIsNotPressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p, err := memwatermill.NewPubSub(&wrapped{
			EventStreamer: memstreamer.New(),
			recv: func(recv func() (*memstreamer.Event, memstreamer.Ack, error)) (*memstreamer.Event, memstreamer.Ack, error) {
				if calls++; calls > 100 {
					return recv() // which waits
				}
				return nil, nil, errFlaky
			},
		}, memwatermill.Config{NackDelay: -1}, nil)
		require.NoError(t, err)
		_, err = p.Subscribe(t.Context(), topic)
		require.NoError(t, err)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 11, calls)
		require.NoError(t, p.Close())
	})
}

func TestLanesAreRefusedAsTopics(t *testing.T) {
	p := newPubSub(t, memwatermill.Config{ConsumerGroup: "billing", Lanes: 8})
	for _, lane := range []string{"orders#billing#3/8", "orders#billing#16/16", "orders#1/2#billing#8/10", "#1/1"} {
		says := fmt.Sprintf("topic %q is named like a lane of a consumer group", lane)
		require.ErrorContains(t, p.Publish(lane, texts("a")...), "memwatermill: Publish: "+says)
		require.ErrorContains(t, p.SubscribeInitialize(lane), "memwatermill: SubscribeInitialize: "+says)
		_, err := p.Subscribe(t.Context(), lane)
		require.ErrorContains(t, err, "memwatermill: Subscribe: "+says)
	}
	for _, topic := range []string{"#", "orders#billing", "orders#billing#3/8/", "3/8", "orders#0/8", "orders#billing#3/8#"} {
		_, err := p.Subscribe(t.Context(), topic)
		require.NoError(t, err)
		require.NoError(t, p.Publish(topic, texts("a")...))
	}
}

func TestGroupHasOneNumberOfLanes(t *testing.T) {
	streamer := memstreamer.New()
	open := func(lanes int) *memwatermill.PubSub {
		p, err := memwatermill.NewPubSub(streamer, memwatermill.Config{ConsumerGroup: "billing", Lanes: lanes}, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close()) })
		return p
	}
	eight := open(8)
	_, err := eight.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	_, err = open(4).Subscribe(t.Context(), topic)
	require.EqualError(t, err, `memwatermill: Subscribe: group "billing" has 8 lanes on topic "orders": another subscriber cannot have 4`)
	_, err = open(4).Subscribe(t.Context(), "another")
	require.NoError(t, err)
	require.NoError(t, eight.Close())
	_, err = open(4).Subscribe(t.Context(), topic)
	require.NoError(t, err)
}

// TestEngineEvents has events that came from no Publish, one of which names its
// topic: in a lane, it must not be sent there again.
func TestEngineEvents(t *testing.T) {
	streamer := memstreamer.New()
	sender, err := streamer.NewSender(t.Context(), topic)
	require.NoError(t, err)
	headers := map[memstreamer.Header]string{memstreamer.HeaderTopic: topic, "_topic": "other"}
	require.NoError(t, sender.Send(t.Context(), "order-1", 3, headers))
	require.NoError(t, sender.Send(t.Context(), "", -9, nil))
	for _, lanes := range []int{1, 4} {
		p, err := memwatermill.NewPubSub(streamer, memwatermill.Config{
			ConsumerGroup: strings.Repeat("g", lanes),
			Lanes:         lanes,
			LaneKey:       func(*message.Message) string { return "same" },
		}, nil)
		require.NoError(t, err)
		messages, err := p.Subscribe(t.Context(), topic)
		require.NoError(t, err)
		m := <-messages
		require.Equal(t, "order-1", m.UUID)
		require.Empty(t, m.Payload)
		require.Equal(t, message.Metadata{"topic": topic, "_topic": "other"}, m.Metadata)
		m.Ack()
		m = <-messages
		require.Empty(t, m.UUID)
		require.Empty(t, m.Metadata)
		m.Ack()
		require.NoError(t, p.Close())
	}
}

func TestLogger(t *testing.T) {
	logger := watermill.NewCaptureLogger()
	p, err := memwatermill.NewPubSub(memstreamer.New(), memwatermill.Config{ConsumerGroup: "billing", CloseTimeout: time.Nanosecond, NackDelay: -1}, logger)
	require.NoError(t, err)
	require.NoError(t, p.Publish(topic, texts("a")...))
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
