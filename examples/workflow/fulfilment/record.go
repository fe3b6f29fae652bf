package fulfilment

import (
	"errors"
	"fmt"
	"math"
)

// Order is what a customer asks for.
type Order struct {
	ID         string `json:"id"`
	Item       string `json:"item"`
	Quantity   int    `json:"quantity"`
	PriceCents int64  `json:"price_cents"` // of one piece
}

// Validate returns an error that says why the order cannot be fulfilled, or nil.
func (o Order) Validate() error {
	switch {
	case o.ID == "":
		return errors.New("id is missing or empty")
	case o.Item == "":
		return errors.New("item is missing or empty")
	case o.Quantity < 1:
		return fmt.Errorf("quantity must be 1 or more, not %d", o.Quantity)
	case o.PriceCents < 0:
		return fmt.Errorf("price_cents must be 0 or more, not %d", o.PriceCents)
	case o.PriceCents > math.MaxInt64/int64(o.Quantity):
		return errors.New("quantity times price_cents is too large")
	}
	return nil
}

// TotalCents returns the price of the whole order.
func (o Order) TotalCents() int64 { return int64(o.Quantity) * o.PriceCents }

// Record is the state of an order: what the steps so far have made of it.
type Record struct {
	Order        Order
	Status       Status
	ChargedCents int64 // since Charged
	PiecesPicked int   // since Picked
}

// Event returns the event that tells of the record's status. Sent again, it takes
// the order on after a stop that has lost it.
func (r Record) Event() Event {
	return Event{
		ForeignID: r.Order.ID,
		Type:      int(r.Status),
		Headers: map[Header]string{
			"workflow_name":  workflow,
			"foreign_id":     r.Order.ID,
			"topic":          r.Status.Topic(),
			"run_id":         workflow + "/" + r.Order.ID,
			"record_version": fmt.Sprint(int(r.Status)),
		},
	}
}
