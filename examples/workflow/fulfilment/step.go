package fulfilment

// step moves a record from one status to the next. What it does goes into the
// record, and so takes effect once, with the save of the new status.
type step struct {
	name string
	from Status // the new status is the one after it
	do   func(r *Record)
}

var steps = []step{
	{"confirm", Placed, func(r *Record) { r.TotalCents = r.Order.TotalCents() }},
	{"reserve", Confirmed, func(r *Record) { r.Reservation = "RES-" + r.Order.ID }},
	// Charge and pick add up, so that a record shows it if they were done twice.
	{"charge", Reserved, func(r *Record) { r.ChargedCents += r.TotalCents }},
	{"pick", Charged, func(r *Record) { r.PiecesPicked += r.Order.Quantity }},
	{"pack", Picked, func(r *Record) { r.Parcels = (r.PiecesPicked + piecesPerParcel - 1) / piecesPerParcel }},
	{"ship", Packed, func(r *Record) { r.Tracking = "TRK-" + r.Order.ID }},
	{"deliver", Shipped, func(*Record) {}},
}

const piecesPerParcel = 5

// finish is the name of the consumer that receives the events of Delivered.
const finish = "finish"

// Consumers returns the names of an engine's consumers in the order in which an
// order passes them: one for each step, and one that notes that it is finished.
func Consumers() []string {
	names := make([]string, 0, len(steps)+1)
	for _, s := range steps {
		names = append(names, s.name)
	}
	return append(names, finish)
}
