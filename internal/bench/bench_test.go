package bench

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStreamersPassEvents(t *testing.T) {
	for name, open := range map[string]Open{"memstreamer": Memstreamer, "retaining": Retaining(time.Hour), "polling": Polling} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, open)
			require.NoError(t, SendAll(s.Ctx, s.Sender("other"), 100))
			late, err := PassEvents(s.Ctx, s.Sender(Topic), []Receiver{s.Receiver(Topic, "a"), s.Receiver(Topic, "b")}, 100)
			require.NoError(t, err)
			require.Zero(t, late)
		})
	}
}

func TestPassEventsChecks(t *testing.T) {
	sent := Sender{Send: func(context.Context, int) error { return nil }}
	for want, got := range map[string][]string{
		`got "order-1000000" twice`:               {"order-1000000", "order-1000000"},
		`got "order-1000002", which was not sent`: {"order-1000002"},
		`got "x", which was not sent`:             {"x"},
		"event 1 of 2: context deadline exceeded": {"order-1000000"},
	} {
		_, err := PassEvents(t.Context(), sent, []Receiver{scripted(got...)}, 2)
		require.ErrorContains(t, err, want)
	}
	late, err := PassEvents(t.Context(), sent, []Receiver{scripted("order-1000001", "order-1000000")}, 2)
	require.NoError(t, err)
	require.Equal(t, 1, late)
}

// scripted returns a Receiver of these foreign IDs.
func scripted(foreignIDs ...string) Receiver {
	return func(context.Context) (string, func() error, error) {
		if len(foreignIDs) == 0 {
			return "", nil, context.DeadlineExceeded
		}
		next := foreignIDs[0]
		foreignIDs = foreignIDs[1:]
		return next, func() error { return nil }, nil
	}
}
