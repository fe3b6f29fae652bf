package streamertest

import (
	"strings"

	"github.com/memstreamer/memstreamer"
)

func refusesEmpty(t *trial) {
	latest := memstreamer.StreamFromLatest()
	t.names("NewSender", t.refusedSender(t.Context(), ""), "topic")
	t.names("NewReceiver", t.refusedReceiver(t.Context(), "", "a"), "topic")
	t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", ""), "name")
	t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", nil), "option")
	t.names("NewReceiver", t.refusedReceiver(t.Context(), "orders", "a", latest, nil), "option")
}

// names checks that an error says what was wrong.
func (t *trial) names(what string, err error, word string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("%s returned the error %v, which does not say %q", what, err, word)
	}
}
