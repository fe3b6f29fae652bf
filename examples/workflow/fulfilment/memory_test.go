package fulfilment_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

func TestMemoryStoreSavesTheNextVersionOnly(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	for _, save := range []struct {
		run     string
		version int
		status  fulfilment.Status
		want    error
	}{
		{"r", 2, fulfilment.Confirmed, fulfilment.ErrConflict},
		{"r", 1, fulfilment.Placed, nil},
		{"r", 1, fulfilment.Placed, fulfilment.ErrConflict},
		{"r", 3, fulfilment.Reserved, fulfilment.ErrConflict},
		{"r", 2, fulfilment.Confirmed, nil},
		{"s", 1, fulfilment.Delivered, nil},
	} {
		record := fulfilment.Record{RunID: save.run, Version: save.version, Status: save.status}
		require.Equal(t, save.want, store.Save(t.Context(), record, fulfilment.OutboxEvent{Type: int(save.status)}))
	}
	want := fulfilment.Record{RunID: "r", Version: 2, Status: fulfilment.Confirmed}
	record, err := store.Load(t.Context(), "r")
	require.NoError(t, err)
	assert.Equal(t, want, record)
	_, err = store.Load(t.Context(), "another")
	assert.Equal(t, fulfilment.ErrNotFound, err)
	unfinished, err := store.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []fulfilment.Record{want}, unfinished)
	events, err := store.Outbox(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, []fulfilment.OutboxEvent{{ID: 1, Type: 1}, {ID: 2, Type: 2}, {ID: 3, Type: 8}}, events, "a conflict adds no event")
}

func TestMemoryStoreOutboxIsInOrder(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	for version := range 5 {
		require.NoError(t, store.Save(t.Context(), fulfilment.Record{RunID: "r", Version: version + 1}, fulfilment.OutboxEvent{}))
	}
	for _, step := range []struct {
		deleted int64
		want    []int64
	}{
		{9, []int64{1, 2, 3}}, {2, []int64{1, 3, 4}}, {1, []int64{3, 4, 5}}, {1, []int64{3, 4, 5}}, {5, []int64{3, 4}}, {3, []int64{4}}, {4, nil},
	} {
		require.NoError(t, store.DeleteOutboxEvent(t.Context(), step.deleted))
		events, err := store.Outbox(t.Context(), 3)
		require.NoError(t, err)
		var ids []int64
		for _, event := range events {
			ids = append(ids, event.ID)
		}
		assert.Equal(t, step.want, ids, "after %d was deleted", step.deleted)
	}
}

func TestMemoryStoreHeedsItsContext(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, store.Save(ctx, fulfilment.Record{RunID: "r", Version: 1}, fulfilment.OutboxEvent{}), context.Canceled)
	_, err := store.Load(ctx, "r")
	assert.ErrorIs(t, err, context.Canceled)
	_, err = store.Unfinished(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = store.Outbox(ctx, 1)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, store.DeleteOutboxEvent(ctx, 1), context.Canceled)
}
