// Package fulfilment is the workflow that the examples run: luno/workflow takes each
// order from Placed to Delivered, in seven steps.
package fulfilment

import (
	"context"
	"fmt"
	"time"

	"github.com/luno/workflow"
)

// Name is the workflow's, with which its topics begin.
const Name = "orders"

// Steps is how many steps an order passes.
const Steps = int(Delivered - Placed)

// Order is what a customer asks for.
type Order struct {
	ID         string `json:"id"`
	Item       string `json:"item"`
	Quantity   int    `json:"quantity"`
	PriceCents int64  `json:"price_cents"` // of one piece
}

// Status is how far an order has come.
type Status int

// The statuses, in the order in which an order reaches them.
const (
	Placed Status = iota + 1
	Confirmed
	Reserved
	Charged
	Picked
	Packed
	Shipped
	Delivered
)

var names = [...]string{Placed: "Placed", Confirmed: "Confirmed", Reserved: "Reserved", Charged: "Charged",
	Picked: "Picked", Packed: "Packed", Shipped: "Shipped", Delivered: "Delivered"}

// String returns the status's name.
func (s Status) String() string {
	if s < Placed || s > Delivered {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return names[s]
}

// ErrBackOff is how long a step pauses after a failure. The engine's default is a
// second, in which all orders behind the one that failed would wait too.
const ErrBackOff = 10 * time.Millisecond

// NewBuilder returns a builder of the workflow. A step does nothing but call work
// with the status that it takes the order to. Where work fails, the step is done
// again.
func NewBuilder(work func(ctx context.Context, order *Order, to Status) error) *workflow.Builder[Order, Status] {
	return NewBuilderOf(func(to Status) workflow.ConsumerFunc[Order, Status] {
		return func(ctx context.Context, run *workflow.Run[Order, Status]) (Status, error) {
			return to, work(ctx, run.Object, to)
		}
	})
}

// NewBuilderOf returns a builder of the workflow with the steps that step returns, each
// for the status that it takes an order to.
func NewBuilderOf(step func(to Status) workflow.ConsumerFunc[Order, Status]) *workflow.Builder[Order, Status] {
	b := workflow.NewBuilder[Order, Status](Name)
	for from := Placed; from < Delivered; from++ {
		b.AddStep(from, step(from+1), from+1).WithOptions(workflow.ErrBackOff(ErrBackOff))
	}
	return b
}
