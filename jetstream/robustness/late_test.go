package robustness_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLateDelivery has the server hold two pull requests of one process, of which
// the first was given up. The event that the other brings late, when another
// process has acked it, is not taken for what the third brings.
func TestLateDelivery(t *testing.T) {
	js, p := startProxied(t)
	elsewhere := connect(t, p.server.url())
	requests := pullRequests(t, elsewhere, "topic@name")
	here, there := newStreamer(t, js), newStreamer(t, elsewhere)
	r := newReceiver(t, here, "topic", "name")
	call := start(t.Context(), r)
	await(t, requests, soonest)
	require.NoError(t, elsewhere.Conn().Publish("$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED."+streamName+".topic@name", nil))
	second := await(t, requests, soonest).Reply
	send(t, there, "topic", "1")
	got := await(t, call, soon)
	require.NoError(t, got.err)
	require.NoError(t, got.ack())

	p.mute()
	send(t, there, "topic", "2")
	other := newReceiver(t, there, "topic", "name")
	require.NoError(t, recv(t, other, "2")())
	require.NoError(t, other.Close())
	call = start(t.Context(), r)
	third := strings.TrimSuffix(second, "2") + "3"
	for await(t, requests, soonest).Reply != third {
	}
	p.speak()
	send(t, there, "topic", "3")
	got = await(t, call, soon)
	require.NoError(t, got.err)
	require.Equal(t, "3", got.event.ForeignID)
}

// A name that waits is not forgotten with the inbox of its pull request, when
// another has given up many.
func TestOldInbox(t *testing.T) {
	js := startEmbedded(t)
	s := newStreamer(t, js)
	patient, restless := pullRequests(t, js, "topic@patient"), pullRequests(t, js, "topic@restless")
	call := start(t.Context(), newReceiver(t, s, "topic", "patient"))
	start(t.Context(), newReceiver(t, s, "topic", "restless"))
	await(t, restless, soonest)
	first := await(t, patient, soonest).Reply
	const enough = 10
	for range enough {
		require.NoError(t, js.Conn().Publish("$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED."+streamName+".topic@restless", nil))
		await(t, restless, soonest)
	}
	again := await(t, patient, soonest).Reply
	require.NotEqual(t, strings.TrimSuffix(first, ".1"), strings.TrimSuffix(again, ".2"), "it has another inbox")
	send(t, s, "topic", "1")
	got := await(t, call, soonest)
	require.NoError(t, got.err)
	require.Equal(t, "1", got.event.ForeignID)
}
