package program

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// What every failure and crash that the flags ask for says.
var (
	errOnPurpose = errors.New("on purpose")
	errCrash     = fmt.Errorf("crash %w", errOnPurpose)
)

// faultyStore counts the orders that it saves as delivered. It lets one try of a
// step in failEvery fail, and crashes the consumer at one step done in crashEvery;
// zero is never. What a crash leaves behind is what an error after the save does:
// a step that is done, and an event that was not acked.
type faultyStore struct {
	fulfilment.Store
	delivered             *atomic.Int64
	failEvery, crashEvery int
	tries, done           atomic.Int64
}

func (s *faultyStore) Save(ctx context.Context, record fulfilment.Record) error {
	if record.Status == fulfilment.Placed {
		return s.Store.Save(ctx, record)
	}
	if s.failEvery > 0 && s.tries.Add(1)%int64(s.failEvery) == 0 {
		return errOnPurpose
	}
	if err := s.Store.Save(ctx, record); err != nil {
		return err
	}
	if record.Status == fulfilment.Delivered {
		s.delivered.Add(1)
	}
	if s.crashEvery > 0 && s.done.Add(1)%int64(s.crashEvery) == 0 {
		return errCrash
	}
	return nil
}
