package fulfilment_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/internal/fulfilment"
)

const good = `{"id":"A","item":"kettle","quantity":1,"price_cents":250}`

func TestLinesAreOrders(t *testing.T) {
	// The second line ends as on Windows, the last not at all.
	orders, err := fulfilment.ReadOrders(strings.NewReader(good + "\n" + `{"id":"B","item":"é","quantity":2,"price_cents":0}` + "\r\n\n \t\n" + fulfilment.AnOrder))
	require.NoError(t, err)
	require.Equal(t, []fulfilment.Order{
		{ID: "A", Item: "kettle", Quantity: 1, PriceCents: 250},
		{ID: "B", Item: "é", Quantity: 2},
		{ID: "A-1", Item: "kettle", Quantity: 1, PriceCents: 6450},
	}, orders)
}

func TestSampleIsGood(t *testing.T) {
	orders, err := fulfilment.ReadOrders(fulfilment.Sample())
	require.NoError(t, err)
	require.Len(t, orders, 100)
}

func TestWhatIsWrongWithALine(t *testing.T) {
	for text, want := range map[string]string{
		`not json`:                               `not JSON: invalid character 'o' in literal null (expecting 'u')`,
		`{"id":"A"`:                              `not JSON: it ends in the middle of a value`,
		`[1]`:                                    `not an order: want an object with id, item, quantity and price_cents, not an array`,
		`"A"`:                                    `not an order: want an object with id, item, quantity and price_cents, not a string`,
		`null`:                                   `not an order: want an object with id, item, quantity and price_cents, not null`,
		good + good:                              `more than one JSON value: want one object a line`,
		good + `}`:                               `more than one JSON value: want one object a line`,
		`{"id":"A","colour":"red"}`:              `unknown field "colour"`,
		`{"item":"x","quantity":1}`:              `id is missing or empty`,
		`{"id":1,"item":"x","quantity":1}`:       `id must be a string, not a number`,
		`{"id":{},"item":"x","quantity":1}`:      `id must be a string, not an object`,
		`{"id":"A","quantity":1}`:                `item is missing or empty`,
		`{"id":"A","item":"x"}`:                  `quantity must be 1 or more, not 0`,
		`{"id":"A","item":"x","quantity":-3}`:    `quantity must be 1 or more, not -3`,
		`{"id":"A","item":"x","quantity":2.5}`:   `quantity must be a whole number, not 2.5`,
		`{"id":"A","item":"x","quantity":"two"}`: `quantity must be a whole number, not a string`,
		`{"id":"A","item":"x","quantity":1,"price_cents":-1}`:                   `price_cents must be 0 or more, not -1`,
		`{"id":"A","item":"x","quantity":2,"price_cents":9223372036854775807}`:  `quantity times price_cents is too large`,
		`{"id":"` + strings.Repeat("A", 200<<10) + `","item":"x","quantity":1}`: `longer than 64 KiB`,
		fulfilment.AnOrder: `line 1 has the id "A-1" too`,
	} {
		t.Run(want, func(t *testing.T) {
			_, err := fulfilment.ReadOrders(strings.NewReader(fulfilment.AnOrder + "\n\n" + text + "\n" + good))
			require.EqualError(t, err, "line 3: "+want)
		})
	}
}

func TestNoOrders(t *testing.T) {
	for _, text := range []string{"", "\n \n"} {
		_, err := fulfilment.ReadOrders(strings.NewReader(text))
		require.EqualError(t, err, "no orders: want lines like "+fulfilment.AnOrder)
	}
}

func TestTheErrorOfTheInputIsPassedOn(t *testing.T) {
	broken := errors.New("broken")
	_, err := fulfilment.ReadOrders(io.MultiReader(strings.NewReader(good+"\n"), iotest.ErrReader(broken)))
	require.Equal(t, broken, err)
}
