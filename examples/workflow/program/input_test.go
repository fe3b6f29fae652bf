package program

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

var order1 = fulfilment.Order{ID: "A", Item: "kettle", Quantity: 1, PriceCents: 250}

// readAll returns the lines of r, and what ended them.
func readAll(r io.Reader) (all []line, err error) {
	err = readLines(r, func(l line) error {
		all = append(all, l)
		return nil
	})
	return all, err
}

func TestLinesAreOrders(t *testing.T) {
	// The second line ends as on Windows, the last not at all.
	got, err := readAll(strings.NewReader(good1 + "\n" + good1 + "\r\n\n \t\n" + good1))
	assert.NoError(t, err)
	assert.Equal(t, []line{{1, order1, nil}, {2, order1, nil}, {5, order1, nil}}, got)
}

func TestWhatIsWrongWithALine(t *testing.T) {
	for text, want := range map[string]string{
		`not json`:                               `not JSON: invalid character 'o' in literal null (expecting 'u')`,
		`{"id":"A"`:                              `not JSON: it ends in the middle of a value`,
		`[1]`:                                    `not an order: want an object with id, item, quantity and price_cents, got array`,
		`"A"`:                                    `not an order: want an object with id, item, quantity and price_cents, got string`,
		`null`:                                   `not an order: want an object with id, item, quantity and price_cents, got null`,
		good1 + good1:                            `more than one JSON value: want one object a line`,
		good1 + `}`:                              `more than one JSON value: want one object a line`,
		`{"id":"A","colour":"red"}`:              `unknown field "colour"`,
		`{"item":"x","quantity":1}`:              `id is missing or empty`,
		`{"id":1,"item":"x","quantity":1}`:       `id must be a string, not number`,
		`{"id":"A","quantity":1}`:                `item is missing or empty`,
		`{"id":"A","item":"x"}`:                  `quantity must be 1 or more, not 0`,
		`{"id":"A","item":"x","quantity":-3}`:    `quantity must be 1 or more, not -3`,
		`{"id":"A","item":"x","quantity":2.5}`:   `quantity must be a whole number, not number 2.5`,
		`{"id":"A","item":"x","quantity":"two"}`: `quantity must be a whole number, not string`,
		`{"id":"A","item":"x","quantity":1,"price_cents":-1}`:                   `price_cents must be 0 or more, not -1`,
		`{"id":"A","item":"x","quantity":2,"price_cents":9223372036854775807}`:  `quantity times price_cents is too large`,
		`{"id":"` + strings.Repeat("A", 200<<10) + `","item":"x","quantity":1}`: `longer than 64 KiB`,
	} {
		t.Run(want, func(t *testing.T) {
			got, err := readAll(strings.NewReader("\n" + text + "\n" + good1))
			assert.NoError(t, err)
			if assert.Len(t, got, 2, "the next line is read") {
				assert.Equal(t, 2, got[0].number)
				assert.EqualError(t, got[0].err, want)
				assert.Equal(t, line{3, order1, nil}, got[1])
			}
		})
	}
}

func TestTheErrorOfTheInputIsPassedOn(t *testing.T) {
	broken := errors.New("broken")
	for name, before := range map[string]string{
		"after a line":          good1 + "\n",
		"in a line too long":    strings.Repeat("A", 100<<10),
		"after a line too long": strings.Repeat("A", 100<<10) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken)))
			assert.Len(t, got, 1)
			assert.Equal(t, broken, err)
		})
	}
}

func TestSampleIsGood(t *testing.T) {
	seen := make(map[string]bool)
	assert.NoError(t, readSample(3, func(l line) error {
		assert.NoError(t, l.err)
		assert.False(t, seen[l.order.ID], "%s comes twice", l.order.ID)
		seen[l.order.ID] = true
		return nil
	}))
	assert.GreaterOrEqual(t, len(seen), 3*24)
}
