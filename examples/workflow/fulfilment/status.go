package fulfilment

import "strconv"

// Workflow is the name of the workflow, which its topics and runs bear.
const Workflow = "fulfilment"

// Status is how far an order has come.
type Status int

// The statuses of an order, in the order in which it goes through them.
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

var statusNames = [...]string{
	Placed:    "placed",
	Confirmed: "confirmed",
	Reserved:  "reserved",
	Charged:   "charged",
	Picked:    "picked",
	Packed:    "packed",
	Shipped:   "shipped",
	Delivered: "delivered",
}

// String returns the status's name in lower case.
func (s Status) String() string {
	if s < Placed || s > Delivered {
		return "Status(" + strconv.Itoa(int(s)) + ")"
	}
	return statusNames[s]
}

// Topic returns the topic of the events that tell of this status.
func (s Status) Topic() string {
	return Workflow + "-" + s.String()
}

// RunState returns the state of a run in this status.
func (s Status) RunState() RunState {
	switch s {
	case Placed:
		return Initiated
	case Delivered:
		return Completed
	default:
		return Running
	}
}

// RunState is what a run's status means to those who do not know the workflow.
type RunState int

// The states of a run.
const (
	Initiated RunState = iota + 1
	Running
	Completed
)
