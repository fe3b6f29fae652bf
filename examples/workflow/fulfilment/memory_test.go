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
	save := func(version int, status fulfilment.Status) error {
		return store.Save(t.Context(),
			fulfilment.Record{RunID: "r", Version: version, Status: status},
			fulfilment.OutboxEvent{Type: int(status)})
	}
	assert.ErrorIs(t, save(2, fulfilment.Confirmed), fulfilment.ErrConflict)
	_, err := store.Load(t.Context(), "r")
	assert.ErrorIs(t, err, fulfilment.ErrNotFound)

	require.NoError(t, save(1, fulfilment.Placed))
	assert.ErrorIs(t, save(1, fulfilment.Placed), fulfilment.ErrConflict)
	assert.ErrorIs(t, save(3, fulfilment.Reserved), fulfilment.ErrConflict)
	require.NoError(t, save(2, fulfilment.Confirmed))

	record, err := store.Load(t.Context(), "r")
	require.NoError(t, err)
	assert.Equal(t, fulfilment.Record{RunID: "r", Version: 2, Status: fulfilment.Confirmed}, record)
	events, err := store.Outbox(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, []fulfilment.OutboxEvent{{ID: 1, Type: 1}, {ID: 2, Type: 2}}, events, "a conflict adds no event")
}

func TestMemoryStoreListsTheUnfinished(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	unfinished := fulfilment.Record{RunID: "a", Version: 1, Status: fulfilment.Shipped}
	require.NoError(t, store.Save(t.Context(), unfinished, fulfilment.OutboxEvent{}))
	require.NoError(t, store.Save(t.Context(), fulfilment.Record{RunID: "b", Version: 1, Status: fulfilment.Delivered}, fulfilment.OutboxEvent{}))
	got, err := store.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []fulfilment.Record{unfinished}, got)
}

func TestMemoryStoreOutboxIsInOrder(t *testing.T) {
	store := fulfilment.NewMemoryStore()
	for version := range 5 {
		require.NoError(t, store.Save(t.Context(), fulfilment.Record{RunID: "r", Version: version + 1}, fulfilment.OutboxEvent{}))
	}
	outbox := func(limit int) (ids []int64) {
		events, err := store.Outbox(t.Context(), limit)
		require.NoError(t, err)
		for _, event := range events {
			ids = append(ids, event.ID)
		}
		return ids
	}
	assert.Equal(t, []int64{1, 2, 3}, outbox(3))
	require.NoError(t, store.DeleteOutboxEvent(t.Context(), 2))
	assert.Equal(t, []int64{1, 3, 4, 5}, outbox(10))
	require.NoError(t, store.DeleteOutboxEvent(t.Context(), 1))
	require.NoError(t, store.DeleteOutboxEvent(t.Context(), 1))
	assert.Equal(t, []int64{3, 4}, outbox(2))
	for _, id := range []int64{5, 4, 3} {
		require.NoError(t, store.DeleteOutboxEvent(t.Context(), id))
	}
	assert.Empty(t, outbox(10))
	require.NoError(t, store.Save(t.Context(), fulfilment.Record{RunID: "s", Version: 1}, fulfilment.OutboxEvent{}))
	assert.Equal(t, []int64{6}, outbox(10))
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
