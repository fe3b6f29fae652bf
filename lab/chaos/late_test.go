package chaos

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLateDelivery has the server hold two pull requests of one process, of which
// the first was given up. The event that the other brings late, when another
// process has acked it, is not taken for what the third brings.
func TestLateDelivery(t *testing.T) {
	js, l := startLine(t)
	elsewhere := connect(t, l.server.ClientURL())
	requests := pullRequests(t, elsewhere, "topic@name")
	here, there := newStreamer(t, js), newStreamer(t, elsewhere)
	r := newReceiver(t, here, "topic", "name")
	call := start(t.Context(), r)
	await(t, requests, soonest)
	require.NoError(t, elsewhere.Conn().Publish("$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED."+streamName+".topic@name", nil))
	second := await(t, requests, soonest).Reply
	send(t, there, "topic", "1")
	require.NoError(t, call.event(t, "1")())

	l.mute()
	send(t, there, "topic", "2")
	other := newReceiver(t, there, "topic", "name")
	receive(t, other, "2")
	require.NoError(t, other.Close())
	call = start(t.Context(), r)
	third := strings.TrimSuffix(second, "2") + "3"
	for await(t, requests, soonest).Reply != third {
	}
	l.speak()
	send(t, there, "topic", "3")
	call.event(t, "3")
}

// A name that waits is not forgotten with the inbox of its pull request, when
// another has given up many.
func TestOldInbox(t *testing.T) {
	s, js := startStreamer(t)
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
	call.event(t, "1")
}
