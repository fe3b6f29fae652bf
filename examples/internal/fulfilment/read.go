package fulfilment

import (
	"bufio"
	"bytes"
	_ "embed" // for sample
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
)

//go:embed sample.jsonl
var sample string

// Sample is an input of a hundred orders.
func Sample() io.Reader { return strings.NewReader(sample) }

// AnOrder is a line that ReadOrders reads.
const AnOrder = `{"id": "A-1", "item": "kettle", "quantity": 1, "price_cents": 6450}`

const maxLine = 64 << 10 // bytes

// ReadOrders reads orders as JSON lines. Blank lines are skipped; the first line
// that is no order, or that has the id of one before it, is an error.
func ReadOrders(r io.Reader) (orders []Order, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	lineOf := make(map[string]int) // by id
	number := 1
	for ; lines.Scan(); number++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		order, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first := lineOf[order.ID]; first > 0 {
			return nil, fmt.Errorf("line %d: line %d has the id %q too", number, first, order.ID)
		}
		lineOf[order.ID] = number
		orders = append(orders, order)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: longer than %d KiB", number, maxLine>>10)
	case err != nil:
		return nil, err
	case orders == nil:
		return nil, errors.New("no orders: want lines like " + AnOrder)
	}
	return orders, nil
}

func parse(line []byte) (order Order, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var decoded *Order
	if err := decoder.Decode(&decoded); err != nil {
		return order, explain(err)
	}
	if decoded == nil {
		return order, notAnOrder("null")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return order, errors.New("more than one JSON value: want one object a line")
	}
	return *decoded, check(*decoded)
}

// check returns what is wrong with an order, or nil.
func check(o Order) error {
	switch {
	case o.ID == "":
		return errors.New("id is missing or empty")
	case o.Item == "":
		return errors.New("item is missing or empty")
	case o.Quantity < 1:
		return fmt.Errorf("quantity must be 1 or more, not %d", o.Quantity)
	case o.PriceCents < 0:
		return fmt.Errorf("price_cents must be 0 or more, not %d", o.PriceCents)
	case o.PriceCents > math.MaxInt64/int64(o.Quantity):
		return errors.New("quantity times price_cents is too large")
	}
	return nil
}

func notAnOrder(got string) error {
	return fmt.Errorf("not an order: want an object with id, item, quantity and price_cents, not %s", got)
}

// explain says in a user's words what the JSON decoder says in a programmer's.
func explain(err error) error {
	if syntaxErr, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON: %w", syntaxErr)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: it ends in the middle of a value")
	}
	typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	case typeErr.Field == "":
		return notAnOrder(aValue(typeErr))
	case typeErr.Type.Kind() == reflect.String:
		return fmt.Errorf("%s must be a string, not %s", typeErr.Field, aValue(typeErr))
	default:
		return fmt.Errorf("%s must be a whole number, not %s", typeErr.Field, aValue(typeErr))
	}
}

// aValue names what the decoder found: it says "array", or "number 2.5".
func aValue(err *json.UnmarshalTypeError) string {
	switch number, found := strings.CutPrefix(err.Value, "number "); {
	case found:
		return number
	case err.Value == "array" || err.Value == "object":
		return "an " + err.Value
	}
	return "a " + err.Value
}
