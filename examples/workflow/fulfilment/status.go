package fulfilment

import "fmt"

// workflow is the name that topics begin with.
const workflow = "fulfilment"

// Status is how far an order has come.
type Status int

// The statuses of an order, in the order in which it reaches them.
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

// steps are by the status in which they begin. Each takes a record to the next
// status, but for the last, which has nothing left to do. What it does besides is
// in the record, and so takes effect once, when the record is saved.
var steps = [...]struct {
	status, name string
	do           func(*Record)
}{
	Placed:    {status: "placed", name: "confirm"},
	Confirmed: {status: "confirmed", name: "reserve"},
	// Charge and pick add up, so that the record shows it if they were done twice.
	Reserved:  {"reserved", "charge", func(r *Record) { r.ChargedCents += r.Order.TotalCents() }},
	Charged:   {"charged", "pick", func(r *Record) { r.PiecesPicked += r.Order.Quantity }},
	Picked:    {status: "picked", name: "pack"},
	Packed:    {status: "packed", name: "ship"},
	Shipped:   {status: "shipped", name: "deliver"},
	Delivered: {status: "delivered", name: "finish"},
}

// Consumers returns the names of an engine's consumers, one for each step, in
// the order in which an order passes them.
func Consumers() (names []string) {
	for _, s := range steps[Placed:] {
		names = append(names, s.name)
	}
	return names
}

// String returns the status's name in lower case.
func (s Status) String() string {
	if s < Placed || s > Delivered {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return steps[s].status
}

// Topic returns the topic of the events that tell of this status.
func (s Status) Topic() string { return workflow + "-" + s.String() }
