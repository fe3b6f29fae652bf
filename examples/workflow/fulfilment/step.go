package fulfilment

// step moves a record from one status to the next. All that it does is in the
// record, and so takes effect once, when the record is saved.
type step struct {
	name string
	from Status
	do   func(r *Record) // nil for the last, which has nothing left to do
}

var steps = []step{
	{"confirm", Placed, func(r *Record) { r.TotalCents = r.Order.TotalCents() }},
	{"reserve", Confirmed, func(r *Record) { r.Reservation = "RES-" + r.Order.ID }},
	// Charge and pick add up, so that the record shows it if they were done twice.
	{"charge", Reserved, func(r *Record) { r.ChargedCents += r.TotalCents }},
	{"pick", Charged, func(r *Record) { r.PiecesPicked += r.Order.Quantity }},
	{"pack", Picked, func(r *Record) { r.Parcels = (r.PiecesPicked + piecesPerParcel - 1) / piecesPerParcel }},
	{"ship", Packed, func(r *Record) { r.Tracking = "TRK-" + r.Order.ID }},
	{"deliver", Shipped, func(*Record) {}},
	{"finish", Delivered, nil},
}

const piecesPerParcel = 5

// Consumers returns the names of an engine's consumers, one for each step, in
// the order in which an order passes them.
func Consumers() []string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	return names
}
