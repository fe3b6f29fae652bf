package fulfilment

import (
	"strconv"
	"time"
)

// Record is the state of one run: an order, and what the steps so far have made
// of it.
type Record struct {
	RunID     string
	Order     Order
	Status    Status
	Version   int // how often the record was saved, this version included
	CreatedAt time.Time
	UpdatedAt time.Time

	TotalCents   int64  // since Confirmed
	Reservation  string // since Reserved
	ChargedCents int64  // since Charged
	PiecesPicked int    // since Picked
	Parcels      int    // since Packed
	Tracking     string // since Shipped
}

// RunID returns the ID of the one run that an order gets. It is made from the
// order's, so that an order which is submitted again is known to be the same.
func RunID(orderID string) string {
	return Workflow + "/" + orderID
}

func newRecord(order Order) Record {
	now := time.Now()
	return Record{
		RunID:     RunID(order.ID),
		Order:     order,
		Status:    Placed,
		Version:   1,
		CreatedAt: now,
		UpdatedAt: now,
	}
}

// key returns the key of the event that tells of the record in this version.
func (r Record) key() eventKey {
	return eventKey{r.RunID, r.Version}
}

// event returns the event that tells of the record in this version.
func (r Record) event() OutboxEvent {
	return OutboxEvent{
		ForeignID: r.Order.ID,
		Type:      int(r.Status),
		Headers: map[Header]string{
			HeaderWorkflowName:  Workflow,
			HeaderForeignID:     r.Order.ID,
			HeaderTopic:         r.Status.Topic(),
			HeaderRunID:         r.RunID,
			HeaderRunState:      strconv.Itoa(int(r.Status.RunState())),
			HeaderRecordVersion: strconv.Itoa(r.Version),
		},
	}
}
