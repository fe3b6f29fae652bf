package jetstream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
)

// TestStuckID asks for another leader after 2 s of nothing but 10158, and then
// after 4 s.
func TestStuckID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inProcess := &natsjs.APIError{Code: 409, ErrorCode: errCodeDuplicateInProcess}
		id := stuckID{limit: stuckPatience}
		for _, want := range []time.Duration{2 * time.Second, 4 * time.Second} {
			for range 3 {
				id.answer(inProcess)
				time.Sleep(want - 1)
				_, stuck := id.answer(inProcess)
				assert.False(t, stuck)
				id.answer(errors.New("another answer"))
			}
			begin := time.Now()
			id.answer(inProcess)
			time.Sleep(want)
			since, stuck := id.answer(inProcess)
			assert.True(t, stuck)
			assert.Equal(t, begin, since)
		}
	})
}
