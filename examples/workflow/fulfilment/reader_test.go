package fulfilment_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

const good = `{"id":"A","item":"kettle","quantity":7,"price_cents":250}`

func TestReaderReadsOrders(t *testing.T) {
	// The second line ends as on Windows, the last not at all.
	r := fulfilment.NewReader(strings.NewReader(good + "\n" + good + "\r\n\n \t\n" + good))
	for _, line := range []int{1, 2, 5} {
		got, err := r.Read()
		require.NoError(t, err)
		assert.Equal(t, order("A"), got)
		assert.Equal(t, line, r.Line())
	}
	for range 2 {
		_, err := r.Read()
		assert.Equal(t, io.EOF, err)
	}
}

func TestReaderSaysWhatIsWrongWithALine(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"words":          {`not json`, `not JSON: invalid character 'o' in literal null (expecting 'u')`},
		"cut short":      {`{"id":"A"`, `not JSON: it ends in the middle of a value`},
		"array":          {`[1]`, `not an order: want an object with id, item, quantity and price_cents, got array`},
		"string":         {`"A"`, `not an order: want an object with id, item, quantity and price_cents, got string`},
		"null":           {`null`, `not an order: want an object with id, item, quantity and price_cents, got null`},
		"two on a line":  {good + good, `more than one JSON value: want one object a line`},
		"rest on a line": {good + `}`, `more than one JSON value: want one object a line`},
		"unknown field":  {`{"id":"A","colour":"red"}`, `unknown field "colour"`},
		"no id":          {`{"item":"x","quantity":1}`, `id is missing or empty`},
		"id a number":    {`{"id":1,"item":"x","quantity":1}`, `id must be a string, not number`},
		"no item":        {`{"id":"A","quantity":1}`, `item is missing or empty`},
		"no quantity":    {`{"id":"A","item":"x"}`, `quantity must be 1 or more, not 0`},
		"below zero":     {`{"id":"A","item":"x","quantity":-3}`, `quantity must be 1 or more, not -3`},
		"a part":         {`{"id":"A","item":"x","quantity":2.5}`, `quantity must be a whole number, not number 2.5`},
		"text":           {`{"id":"A","item":"x","quantity":"two"}`, `quantity must be a whole number, not string`},
		"negative price": {`{"id":"A","item":"x","quantity":1,"price_cents":-1}`, `price_cents must be 0 or more, not -1`},
		"too much":       {`{"id":"A","item":"x","quantity":2,"price_cents":9223372036854775807}`, `quantity times price_cents is too large`},
		"too long":       {`{"id":"` + strings.Repeat("A", 200<<10) + `"}`, `longer than 64 KiB`},
	} {
		t.Run(name, func(t *testing.T) {
			r := fulfilment.NewReader(strings.NewReader("\n" + test.line + "\n" + good))
			_, err := r.Read()
			lineErr, ok := errors.AsType[*fulfilment.LineError](err)
			require.True(t, ok, "got %v", err)
			assert.Equal(t, 2, lineErr.Line)
			assert.Equal(t, "line 2: "+test.want, err.Error())

			got, err := r.Read()
			require.NoError(t, err, "the next line is read")
			assert.Equal(t, order("A"), got)
			assert.Equal(t, 3, r.Line())
		})
	}
}

func TestReaderPassesOnTheErrorOfItsInput(t *testing.T) {
	for name, before := range map[string]string{
		"after a line":          good + "\n",
		"in a line too long":    strings.Repeat("A", 100<<10),
		"after a line too long": strings.Repeat("A", 100<<10) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := fulfilment.NewReader(io.MultiReader(strings.NewReader(before), iotest.ErrReader(errTest)))
			_, _ = r.Read()
			_, err := r.Read()
			assert.Equal(t, errTest, err)
		})
	}
}

func TestSampleIsGood(t *testing.T) {
	r := fulfilment.NewReader(strings.NewReader(fulfilment.Sample))
	seen := make(map[string]bool)
	for {
		order, err := r.Read()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		assert.False(t, seen[order.ID], "%s comes twice", order.ID)
		seen[order.ID] = true
	}
	assert.GreaterOrEqual(t, len(seen), 24)
}
