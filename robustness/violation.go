package robustness

import "fmt"

// Rule names one thing that a history must not show.
type Rule string

// The rules. The first is CheckLinearizable's, the others are CheckCounting's.
const (
	NotLinearizable Rule = "not linearizable"

	Lost        Rule = "event lost"
	Behind      Rule = "event from behind the cursor"
	Disordered  Rule = "event out of order"
	Strayed     Rule = "event delivered past its topic"
	Misnumbered Rule = "IDs not unique and increasing"
	Altered     Rule = "event not as it was sent"
	Stalled     Rule = "parked with something to return"
	Misreported Rule = "wrong error"
)

// Violation is one rule that a history breaks.
type Violation struct {
	Rule   Rule
	Detail string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s", v.Rule, v.Detail) }
