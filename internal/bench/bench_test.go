package bench

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStreamersPassEvents(t *testing.T) {
	for name, open := range map[string]Open{"memstreamer": Memstreamer, "as": As, "parking": Parking, "polling": Polling} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, open)
			require.NoError(t, SendAll(s.Ctx, s.Sender("other"), 100))
			require.NoError(t, PassEvents(s.Ctx, s.Sender(Topic), []Receiver{s.Receiver(Topic, "a"), s.Receiver(Topic, "b")}, 100, true))
		})
	}
}

func TestPassEventsChecks(t *testing.T) {
	for name, test := range map[string]struct {
		got     scripted
		ordered bool
		want    string
	}{
		"twice":        {scripted{"order-1000000", "order-1000000"}, false, "twice"},
		"out of order": {scripted{"order-1000001", "order-1000000"}, true, "want 0"},
		"never sent":   {scripted{"order-1000002"}, false, "not sent"},
		"foreign":      {scripted{"x"}, false, "no foreign ID"},
		"too few":      {scripted{"order-1000000"}, true, "event 1 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, PassEvents(t.Context(), nothing{}, []Receiver{&test.got}, 2, test.ordered), test.want)
		})
	}
	require.NoError(t, PassEvents(t.Context(), nothing{}, []Receiver{&scripted{"order-1000001", "order-1000000"}}, 2, false))
}

// scripted is a Receiver of the foreign IDs it holds.
type scripted []string

func (s *scripted) Recv(context.Context) (string, func() error, error) {
	if len(*s) == 0 {
		return "", nil, context.DeadlineExceeded
	}
	next := (*s)[0]
	*s = (*s)[1:]
	return next, func() error { return nil }, nil
}

// nothing is a Sender of what was sent before.
type nothing struct{}

func (nothing) Send(context.Context, int) error { return nil }
