package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPersist has a server that is not available for an hour, and answers each
// attempt with that at once.
func TestPersist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Streamer{log: slog.New(slog.DiscardHandler), owner: owner{conn: &nats.Conn{}}}
		const away = time.Hour
		begin, attempts := time.Now(), 0
		err := s.persist(t.Context(), "a test", patience, func(context.Context) error {
			attempts++
			if time.Since(begin) < away {
				return errNoLeader
			}
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, int(away/retryDelay)+1, attempts)
	})
}

// TestPersistSlowServer has a server that takes 10 s for each answer.
func TestPersistSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Streamer{log: slog.New(slog.DiscardHandler), owner: owner{conn: &nats.Conn{}}}
		slow := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Second):
				return nil
			}
		}
		require.NoError(t, s.persist(t.Context(), "a test", patience, slow))

		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin := time.Now()
		err := s.persist(ctx, "a test", patience, slow)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "the server is not available")
		assert.Equal(t, 9*time.Second, time.Since(begin))
	})
}

func TestUnavailable(t *testing.T) {
	for _, err := range []error{
		&natsjs.APIError{Code: 503, ErrorCode: 10008},
		&natsjs.APIError{Code: 409, ErrorCode: 10158},
		&natsjs.APIError{Code: 500, ErrorCode: 10049, Description: "error creating store for stream"},
		&natsjs.APIError{Code: 503, ErrorCode: 10077, Description: "store is closed"},
		context.DeadlineExceeded,
		nats.ErrNoResponders,
	} {
		assert.True(t, unavailable(err), "%v", err)
	}
	for _, err := range []error{
		nil,
		natsjs.ErrJetStreamNotEnabled,
		&natsjs.APIError{Code: 500, ErrorCode: 10049, Description: "invalid subject"},
		&natsjs.APIError{Code: 503, ErrorCode: 10023, Description: "insufficient resources"},
		&natsjs.APIError{Code: 503, ErrorCode: 10077, Description: "write: no space left on device"},
		natsjs.ErrConsumerNotFound,
		context.Canceled,
		nats.ErrConnectionClosed,
		errors.New("another"),
	} {
		assert.False(t, unavailable(err), "%v", err)
	}
}

// TestPersistLost has a request lost with its connection or its leader, after many
// that were slow. It is sent again without waiting for the attempt to end.
func TestPersistLost(t *testing.T) {
	advisory := func(about string) func(*Streamer) {
		return func(s *Streamer) { s.advise(&nats.Msg{Subject: "$JS.EVENT.ADVISORY." + about}) }
	}
	for what, happens := range map[string]func(*Streamer){
		"connection":             (*Streamer).reconnected,
		"leader of the stream":   advisory("STREAM.LEADER_ELECTED.S"),
		"leader of the consumer": advisory("CONSUMER.LEADER_ELECTED.S.name"),
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Streamer{log: slog.New(slog.DiscardHandler), owner: owner{conn: &nats.Conn{}}, cursors: make(map[string]*cursor)}
				c := s.retainCursor("name", &cursor{streamer: s, changed: make(chan struct{}), pull: pull{silence: time.NewTimer(time.Hour)}})
				attempts := 0
				var lost time.Time
				err := c.persist(t.Context(), "a test", patience, func(ctx context.Context) error {
					if attempts++; attempts == 10 {
						return nil
					}
					if attempts == 9 {
						lost = time.Now()
						happens(s)
					}
					<-ctx.Done()
					return ctx.Err()
				})
				require.NoError(t, err)
				assert.LessOrEqual(t, time.Since(lost), retryDelay)
			})
		})
	}
}
