package workflowtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// Store tests an empty store.
func Store(t *testing.T, store fulfilment.Store) {
	ctx := t.Context()
	record := func(id string, status fulfilment.Status) fulfilment.Record {
		return fulfilment.Record{Order: fulfilment.Order{ID: id, Item: "two\nlines"}, Status: status}
	}
	for _, save := range []struct {
		id     string
		status fulfilment.Status
		want   error
	}{
		{"A", fulfilment.Confirmed, fulfilment.ErrConflict},
		{"A", fulfilment.Placed, nil},
		{"B", fulfilment.Placed, nil},
		{"A", fulfilment.Placed, fulfilment.ErrConflict},
		{"A", fulfilment.Reserved, fulfilment.ErrConflict},
		{"A", fulfilment.Confirmed, nil},
		{"A", fulfilment.Confirmed, fulfilment.ErrConflict},
		{"B", fulfilment.Confirmed, nil},
		{"A", fulfilment.Reserved, nil},
	} {
		require.Equal(t, save.want, store.Save(ctx, record(save.id, save.status)))
	}
	all, err := store.All(ctx)
	require.NoError(t, err)
	assert.ElementsMatch(t, []fulfilment.Record{record("A", fulfilment.Reserved), record("B", fulfilment.Confirmed)}, all)
	a, err := store.Load(ctx, "A")
	require.NoError(t, err)
	assert.Equal(t, record("A", fulfilment.Reserved), a)
	_, err = store.Load(ctx, "C")
	assert.Equal(t, fulfilment.ErrNotFound, err)

	requireOutbox := func(want ...fulfilment.Record) {
		t.Helper()
		records, err := store.Outbox(ctx, 9)
		require.NoError(t, err)
		require.ElementsMatch(t, want, records)
	}
	requireOutbox(record("A", fulfilment.Reserved), record("B", fulfilment.Confirmed))
	one, err := store.Outbox(ctx, 1)
	require.NoError(t, err)
	require.Len(t, one, 1)
	for range 2 {
		require.NoError(t, store.Sent(ctx, record("A", fulfilment.Reserved)))
		require.NoError(t, store.Sent(ctx, record("B", fulfilment.Placed)))
		requireOutbox(record("B", fulfilment.Confirmed))
	}
	require.Equal(t, fulfilment.ErrConflict, store.Save(ctx, record("A", fulfilment.Reserved)))
	requireOutbox(record("B", fulfilment.Confirmed))
	require.NoError(t, store.Save(ctx, record("A", fulfilment.Charged)))
	requireOutbox(record("A", fulfilment.Charged), record("B", fulfilment.Confirmed))
}
