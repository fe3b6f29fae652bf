package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func record(id string, version int) fulfilment.Record {
	return fulfilment.Record{RunID: fulfilment.RunID(id), Order: fulfilment.Order{ID: id}, Version: version, Status: fulfilment.Status(version)}
}

func event(id string, version int) fulfilment.OutboxEvent {
	return fulfilment.OutboxEvent{ForeignID: id, Type: version, Headers: map[fulfilment.Header]string{"name": "value\nof two lines"}}
}

// TestStoreReopened closes the store after each change, and sees that it is
// there afterwards.
func TestStoreReopened(t *testing.T) {
	dir := t.TempDir()
	reopened := func(f func(s *fileStore)) {
		s, err := openStore(dir)
		require.NoError(t, err)
		f(s)
		require.NoError(t, s.Close())
	}
	reopened(func(s *fileStore) { require.NoError(t, s.Save(t.Context(), record("A", 1), event("A", 1))) })
	reopened(func(s *fileStore) { require.NoError(t, s.Save(t.Context(), record("B", 1), event("B", 1))) })
	reopened(func(s *fileStore) { require.NoError(t, s.DeleteOutboxEvent(t.Context(), 1)) })
	reopened(func(s *fileStore) { require.NoError(t, s.Save(t.Context(), record("A", 2), event("A", 2))) })
	reopened(func(s *fileStore) {
		require.ErrorIs(t, s.Save(t.Context(), record("A", 2), event("A", 2)), fulfilment.ErrConflict)
		require.ErrorIs(t, s.Save(t.Context(), record("C", 2), event("C", 2)), fulfilment.ErrConflict)
	})
	reopened(func(s *fileStore) {
		all, err := s.All(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []fulfilment.Record{record("A", 2), record("B", 1)}, all)
		outbox, err := s.Outbox(t.Context(), 10)
		require.NoError(t, err)
		require.Len(t, outbox, 2)
		b, a := event("B", 1), event("A", 2)
		b.ID, a.ID = 2, 3
		assert.Equal(t, []fulfilment.OutboxEvent{b, a}, outbox)
		_, err = s.Load(t.Context(), "none")
		assert.ErrorIs(t, err, fulfilment.ErrNotFound)
	})
}

// TestStoreTorn cuts the last line off at each of its bytes.
func TestStoreTorn(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "orders.jsonl")
	s, err := openStore(dir)
	require.NoError(t, err)
	require.NoError(t, s.Save(t.Context(), record("A", 1), event("A", 1)))
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, s.Save(t.Context(), record("A", 2), event("A", 2)))
	require.NoError(t, s.Close())
	both, err := os.ReadFile(name)
	require.NoError(t, err)

	for end := len(whole); end < len(both); end++ {
		require.NoError(t, os.WriteFile(name, both[:end], 0o600))
		s, err := openStore(dir)
		require.NoError(t, err)
		a, err := s.Load(t.Context(), fulfilment.RunID("A"))
		require.NoError(t, err)
		require.Equal(t, 1, a.Version)
		require.NoError(t, s.DeleteOutboxEvent(t.Context(), 1))
		require.NoError(t, s.Close())
		again, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(whole)+`{"delete":1}`+"\n", string(again))
	}
}

func TestStoreDamaged(t *testing.T) {
	for want, lines := range map[string]string{
		"line 1: invalid character":                            "damaged\n{\"delete\":1}\n",
		"line 2: fulfilment: the record was changed meanwhile": strings.Repeat(`{"save":{"record":{"RunID":"A","Version":1}}}`+"\n", 2),
	} {
		t.Run(want, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "orders.jsonl"), []byte(lines), 0o600))
			_, err := openStore(dir)
			assert.ErrorContains(t, err, want)
		})
	}
}

func TestStoreBroken(t *testing.T) {
	s, err := openStore(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, s.file.Close())
	require.ErrorContains(t, s.Save(t.Context(), record("A", 1), event("A", 1)), "the store needs a restart")
	require.ErrorContains(t, s.DeleteOutboxEvent(t.Context(), 1), "the store needs a restart")
	_, err = s.Load(t.Context(), fulfilment.RunID("A"))
	require.ErrorIs(t, err, fulfilment.ErrNotFound)
	require.NoError(t, s.lock.Unlock())
}
