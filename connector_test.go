package memstreamer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

func newConsumer(t testing.TB, c *memstreamer.Connector, name string) memstreamer.ConnectorConsumer {
	t.Helper()
	consumer, err := c.Make(t.Context(), name)
	require.NoError(t, err)
	return consumer
}

func connectorEvents() []engineConnectorEvent {
	return []engineConnectorEvent{
		{ID: "1", ForeignID: "customer-1", Type: "created", Headers: map[string]string{"k": "v"}, CreatedAt: time.Unix(1, 2)},
		{ID: "2", ForeignID: "", Type: "", Headers: nil},
		{ID: "3", Headers: map[string]string{}},
	}
}

func TestConnectorDeliversItsEvents(t *testing.T) {
	given := connectorEvents()
	c := memstreamer.NewConnector(given)
	given[0].Headers["k"] = "changed after NewConnector"

	view := memstreamer.AsConnector[engineConnector](c)
	for _, name := range []string{"first", "second"} {
		consumer, err := view.Make(t.Context(), name)
		require.NoError(t, err)
		for _, want := range connectorEvents() {
			for range 2 { // again until it is acked
				event, _, err := consumer.Recv(t.Context())
				require.NoError(t, err)
				want.CreatedAt = want.CreatedAt.Local()
				require.Equal(t, want, *event)
				if event.Headers != nil {
					event.Headers["k"] = "changed by its consumer"
				}
			}
			_, ack, err := consumer.Recv(t.Context())
			require.NoError(t, err)
			require.NoError(t, ack())
		}
	}
}

// Append wakes every consumer.
func TestAppendWakesAllConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil))
		got := make(chan string)
		for _, name := range []string{"a", "b", "c"} {
			consumer := newConsumer(t, c, name)
			go func() {
				event, _, err := consumer.Recv(t.Context())
				assert.NoError(t, err)
				got <- event.ID
			}()
		}
		synctest.Wait()
		require.NoError(t, c.Append(memstreamer.ConnectorEvent{ID: "1"}))
		for range 3 {
			require.Equal(t, "1", <-got)
		}
	})
}

// The events of one Append come one after the other, whoever else appends.
func TestAppendIsContiguous(t *testing.T) {
	const appenders, batches, size = 4, 50, 20
	c := memstreamer.NewConnector([]memstreamer.ConnectorEvent(nil))
	var appending sync.WaitGroup
	for appender := range appenders {
		appending.Go(func() {
			for batch := range batches {
				events := make([]memstreamer.ConnectorEvent, size)
				for i := range events {
					events[i] = memstreamer.ConnectorEvent{ID: fmt.Sprint(appender, " ", batch), Type: fmt.Sprint(i)}
				}
				assert.NoError(t, c.Append(events...))
			}
		})
	}
	appending.Wait()
	consumer := newConsumer(t, c, "step")
	for range appenders * batches {
		var batch string
		for i := range size {
			event, ack, err := consumer.Recv(t.Context())
			require.NoError(t, err)
			require.NoError(t, ack())
			if i == 0 {
				batch = event.ID
			}
			require.Equal(t, memstreamer.ConnectorEvent{ID: batch, Type: fmt.Sprint(i), CreatedAt: time.Time{}.Local()}, *event)
		}
	}
}

func TestConnectorContextFirst(t *testing.T) {
	c := memstreamer.NewConnector(connectorEvents())
	consumer, err := memstreamer.AsConnector[engineConnector](c).Make(t.Context(), "step")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Make(ctx, "step")
	require.Equal(t, context.Canceled, err)
	_, _, err = consumer.Recv(ctx)
	require.Equal(t, context.Canceled, err)
}
