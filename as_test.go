package memstreamer_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/enginetest"
)

// The types of an engine that has never heard of this package.
type (
	engineStreamer       = enginetest.EventStreamer
	engineSender         = enginetest.EventSender
	engineReceiver       = enginetest.EventReceiver
	engineReceiverOption = enginetest.ReceiverOption
	engineHeader         = enginetest.Header
	engineAck            = enginetest.Ack
	engineConnectorEvent struct {
		ID        string
		ForeignID string
		Type      string
		Headers   map[string]string
		CreatedAt time.Time
	}
	engineConnector interface {
		Make(ctx context.Context, consumerName string) (engineConsumer, error)
	}
	engineConsumer interface {
		Recv(ctx context.Context) (*engineConnectorEvent, engineAck, error)
		Close() error
	}
)

// foreign hides that an EventStreamer, its senders and its receivers are a
// StreamConstructor's: As has to go by the interfaces alone.
type (
	foreign         struct{ memstreamer.EventStreamer }
	foreignSender   struct{ memstreamer.EventSender }
	foreignReceiver struct{ memstreamer.EventReceiver }
)

func (f foreign) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	s, err := f.EventStreamer.NewSender(ctx, topic)
	return foreignSender{s}, err
}

func (f foreign) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	r, err := f.EventStreamer.NewReceiver(ctx, topic, name, opts...)
	return foreignReceiver{r}, err
}

func TestAsAppliesTheEnginesOptions(t *testing.T) {
	s := memstreamer.New()
	send(t, newSender(t, s, "orders"), "before")
	view := memstreamer.As[engineStreamer](s)
	receiver, err := view.NewReceiver(t.Context(), "orders", "step",
		func(o *enginetest.ReceiverOptions) { o.PollFrequency = time.Second },
		func(o *enginetest.ReceiverOptions) {
			require.Equal(t, time.Second, o.PollFrequency)
			o.StreamFromLatest = true
		})
	require.NoError(t, err)
	send(t, newSender(t, s, "orders"), "after")
	event, _, err := receiver.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, "after", event.ForeignID)
}

// An engine may compare its streamer, and have it as a key.
func TestViewsCompare(t *testing.T) {
	s := memstreamer.New()
	one, other := memstreamer.As[engineStreamer](s), memstreamer.As[engineStreamer](s)
	same := one
	require.True(t, one == same)
	require.False(t, one == other)
	c := memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil))
	connector := memstreamer.AsConnector[engineConnector](c)
	sender, err := one.NewSender(t.Context(), "orders")
	require.NoError(t, err)
	receiver, err := one.NewReceiver(t.Context(), "orders", "step")
	require.NoError(t, err)
	consumer, err := connector.Make(t.Context(), "step")
	require.NoError(t, err)
	keys := map[any]bool{}
	for _, view := range []any{one, other, connector, sender, receiver, consumer} {
		keys[view] = true
	}
	require.Len(t, keys, 6)
	require.True(t, keys[one])
}

// As adds no allocation: the engine's map goes into the log as it is, and its event
// comes out of it.
func TestAsAddsNoAllocation(t *testing.T) {
	s := memstreamer.New()
	sender := newSender(t, s, "orders")
	viewed, err := memstreamer.As[engineStreamer](s).NewSender(t.Context(), "orders")
	require.NoError(t, err)
	headers, engineHeaders := map[memstreamer.Header]string{}, map[engineHeader]string{}
	for _, name := range []string{"workflow_name", "foreign_id", "run_id"} {
		headers[memstreamer.Header(name)], engineHeaders[engineHeader(name)] = "value", "value"
	}
	direct := testing.AllocsPerRun(1000, func() { _ = sender.Send(t.Context(), "7", 1, headers) })
	through := testing.AllocsPerRun(1000, func() { _ = viewed.Send(t.Context(), "7", 1, engineHeaders) })
	require.Equal(t, direct, through)

	receiver := newReceiver(t, s, "orders", "step")
	viewedReceiver, err := memstreamer.As[engineStreamer](s).NewReceiver(t.Context(), "orders", "step")
	require.NoError(t, err)
	direct = testing.AllocsPerRun(1000, func() { _, _, _ = receiver.Recv(t.Context()) })
	through = testing.AllocsPerRun(1000, func() { _, _, _ = viewedReceiver.Recv(t.Context()) })
	require.Equal(t, direct, through)
}

func TestAsRefusesMoreThanTheContract(t *testing.T) {
	type flushingSender interface {
		engineSender
		Flush() error
	}
	type rewindingReceiver interface {
		engineReceiver
		Rewind(id int64) error
	}
	type pausingStreamer interface {
		engineStreamer
		Pause()
	}
	type lookingConsumer interface {
		engineConsumer
		Peek() bool
	}
	s, c := memstreamer.New(), memstreamer.NewConnector([]engineConnectorEvent(nil))
	for message, as := range map[string]func(){
		"memstreamer: As: the engine's memstreamer_test.pausingStreamer asks for a method beyond the contract: Pause": func() { memstreamer.As[pausingStreamer](s) },
		"memstreamer: As: the engine's memstreamer_test.flushingSender asks for a method beyond the contract: Flush": func() {
			memstreamer.As[interface {
				NewSender(ctx context.Context, topic string) (flushingSender, error)
				NewReceiver(ctx context.Context, topic, name string, opts ...engineReceiverOption) (engineReceiver, error)
			}](s)
		},
		"memstreamer: As: the engine's memstreamer_test.rewindingReceiver asks for a method beyond the contract: Rewind": func() {
			memstreamer.As[interface {
				NewSender(ctx context.Context, topic string) (engineSender, error)
				NewReceiver(ctx context.Context, topic, name string, opts ...engineReceiverOption) (rewindingReceiver, error)
			}](s)
		},
		"memstreamer: As: the engine's *memstreamer_test.structSender is not an interface: only an interface can hold memstreamer's": func() {
			memstreamer.As[interface {
				NewSender(ctx context.Context, topic string) (*structSender, error)
				NewReceiver(ctx context.Context, topic, name string, opts ...engineReceiverOption) (engineReceiver, error)
			}](s)
		},
		"memstreamer: As: the engine's memstreamer_test.structReceiver is not an interface: only an interface can hold memstreamer's": func() {
			memstreamer.As[interface {
				NewSender(ctx context.Context, topic string) (engineSender, error)
				NewReceiver(ctx context.Context, topic, name string, opts ...engineReceiverOption) (structReceiver, error)
			}](s)
		},
		"memstreamer: AsConnector: the engine's memstreamer_test.lookingConsumer asks for a method beyond the contract: Peek": func() {
			memstreamer.AsConnector[interface {
				Make(ctx context.Context, consumerName string) (lookingConsumer, error)
			}](c)
		},
		"memstreamer: AsConnector: the connector is nil": func() { memstreamer.AsConnector[engineConnector](nil) },
	} {
		t.Run(message, func(t *testing.T) { require.PanicsWithValue(t, message, as) })
	}
	for name, nothing := range map[string]memstreamer.EventStreamer{
		"nil": nil, "a typed nil": (*memstreamer.StreamConstructor)(nil), "a nil map": mapStreamer(nil),
	} {
		t.Run(name, func(t *testing.T) {
			require.PanicsWithValue(t, "memstreamer: As: the streamer is nil", func() { memstreamer.As[engineStreamer](nothing) })
		})
	}
}

// A sender and a receiver that an engine declares as structs.
type (
	structSender   struct{ engineSender }
	structReceiver struct{ engineReceiver }
)

// mapStreamer is an EventStreamer whose nil has methods too.
type mapStreamer map[string]memstreamer.EventStreamer

func (m mapStreamer) NewSender(ctx context.Context, topic string) (memstreamer.EventSender, error) {
	return m[topic].NewSender(ctx, topic)
}

func (m mapStreamer) NewReceiver(ctx context.Context, topic, name string, opts ...memstreamer.ReceiverOption) (memstreamer.EventReceiver, error) {
	return m[topic].NewReceiver(ctx, topic, name, opts...)
}

func TestAsRejectsAnotherShape(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), "go", "build", "./testdata/othershape").CombinedOutput()
	require.Error(t, err, "it compiles")
	require.Contains(t, string(output), "(type event) does not satisfy memstreamer.eventShape")
}
