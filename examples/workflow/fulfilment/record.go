package fulfilment

import "strconv"

// workflow is the name that topics and runs begin with.
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

// String returns the status's name in lower case.
func (s Status) String() string {
	if s < Placed || s > Delivered {
		return "Status(" + strconv.Itoa(int(s)) + ")"
	}
	return [...]string{"placed", "confirmed", "reserved", "charged", "picked", "packed", "shipped", "delivered"}[s-Placed]
}

// Topic returns the topic of the events that tell of this status.
func (s Status) Topic() string { return workflow + "-" + s.String() }

// Record is the state of one run: an order, and what the steps so far have made
// of it.
type Record struct {
	RunID   string
	Order   Order
	Status  Status
	Version int // 1 when the order is placed, and one more with each step

	TotalCents   int64  // since Confirmed
	Reservation  string // since Reserved
	ChargedCents int64  // since Charged
	PiecesPicked int    // since Picked
	Parcels      int    // since Packed
	Tracking     string // since Shipped
}

// RunID returns the ID of an order's only run.
func RunID(orderID string) string { return workflow + "/" + orderID }

func (r Record) key() eventKey { return eventKey{r.RunID, r.Version} }

// Event returns the event that tells of the record in this version. Sent again, it
// takes the run on after a stop that has lost it.
func (r Record) Event() OutboxEvent {
	state := "2" // running
	switch r.Status {
	case Placed:
		state = "1" // initiated
	case Delivered:
		state = "3" // completed
	}
	return OutboxEvent{
		ForeignID: r.Order.ID,
		Type:      int(r.Status),
		Headers: map[Header]string{
			HeaderWorkflowName:  workflow,
			HeaderForeignID:     r.Order.ID,
			HeaderTopic:         r.Status.Topic(),
			HeaderRunID:         r.RunID,
			HeaderRunState:      state,
			HeaderRecordVersion: strconv.Itoa(r.Version),
		},
	}
}
