package embedded

import (
	"log/slog"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The server does not close the connection over what it has not read yet.
func TestMaxPending(t *testing.T) {
	srv, err := startServer(t.TempDir(), options{logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer shutdown(srv)
	varz, err := srv.Varz(nil)
	require.NoError(t, err)
	require.EqualValues(t, math.MaxInt64, varz.MaxPending)
}
