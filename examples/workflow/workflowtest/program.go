// Package workflowtest tests the programs of the examples, and their stores.
package workflowtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment/sqlstore"
	"github.com/memstreamer/memstreamer/examples/workflow/program"
	"github.com/memstreamer/memstreamer/internal/cli"
)

// Patience is the deadline for what a test waits for.
const Patience = time.Minute

// asProgram is set in the environment of a test binary that is to be the program.
const asProgram = "MEMSTREAMER_EXAMPLE"

// Main is the TestMain of a program. It runs main where Command has started it,
// and elsewhere the tests, which may leave no goroutine.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// Command returns the program as a process of its own, killed with ctx.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// Run runs a program in this process without its idle part, and returns its status
// and all that it writes.
func Run(ctx context.Context, p program.Program, args ...string) (int, string) {
	var stdout, stderr bytes.Buffer
	status := p.Run(ctx, append([]string{"-idle", "0"}, args...), os.Stdin, &stdout, &stderr)
	return status, stdout.String() + stderr.String()
}

// Delivered returns how many orders a store has as delivered.
func Delivered(t *testing.T, store *sqlstore.Store) (n int) {
	t.Helper()
	row := store.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM fulfilment_records WHERE status = ?`, int(fulfilment.Delivered))
	require.NoError(t, row.Scan(&n))
	return n
}

// Kill kills a durable program again and again, while its orders are in dir, and
// requires of the start after that to deliver every order as it should be, and of
// one more to find nothing left to do.
func Kill(t *testing.T, p program.Program, dir string, kills int, args ...string) {
	const rounds = 3
	orders := rounds * strings.Count(program.Sample, "\n")
	store, err := sqlstore.Open(t.Context(), dir)
	require.NoError(t, err)
	defer func() { assert.NoError(t, store.Close()) }()
	args = append(args, "-repeat", fmt.Sprint(rounds), "-idle", "0")
	for i := range kills {
		cmd := Command(t.Context(), args...)
		cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
		require.NoError(t, cmd.Start())
		limit := orders * (i + 1) / (kills + 1)
		require.Eventually(t, func() bool { return Delivered(t, store) >= limit }, Patience, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit, "it ended before it was killed")
		t.Logf("killed at %d of %d orders delivered", Delivered(t, store), orders)
	}
	require.Less(t, Delivered(t, store), orders, "nothing is left for the last start")

	out, err := Command(t.Context(), args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("\n%s", out)
	require.Contains(t, string(out), "every order is delivered, charged once and picked once")

	records, err := store.All(t.Context())
	require.NoError(t, err)
	require.Len(t, records, orders)
	for _, r := range records {
		assert.Equal(t, fulfilment.Delivered, r.Status, r.Order.ID)
		assert.Equal(t, r.Order.TotalCents(), r.ChargedCents, r.Order.ID)
		assert.Equal(t, r.Order.Quantity, r.PiecesPicked, r.Order.ID)
	}
	outbox, err := store.Outbox(t.Context(), 1)
	require.NoError(t, err)
	assert.Empty(t, outbox)

	status, again := Run(t.Context(), p, append(args, "-repeat", "1")...)
	require.Equal(t, cli.OK, status, again)
	assert.Contains(t, again, fmt.Sprintf("found %d orders: %[1]d delivered, 0 to go on with", orders))
}
