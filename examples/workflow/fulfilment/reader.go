package fulfilment

import (
	"bufio"
	"bytes"
	_ "embed" // for Sample
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Sample is a few dozen orders, as JSON lines.
//
//go:embed sample.jsonl
var Sample string

const maxLine = 64 << 10 // bytes

// Reader reads orders from JSON lines: an object a line, with the fields of
// [Order] and no others. It skips blank lines. It is not safe for concurrent use.
type Reader struct {
	lines *bufio.Reader
	line  int
}

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{lines: bufio.NewReaderSize(r, maxLine)}
}

// Read returns the next order. A line that is not a valid order fails with a
// [*LineError], and the next Read goes on after it. Read fails with [io.EOF] at
// the end, and with the error of the underlying reader.
func (r *Reader) Read() (Order, error) {
	for {
		line, tooLong, err := r.lines.ReadLine()
		if err != nil {
			return Order{}, err
		}
		r.line++
		if line = bytes.TrimSpace(line); len(line) == 0 && !tooLong {
			continue
		}
		var order Order
		if tooLong {
			// An error in the rest of the line comes back at the next Read.
			for more := true; more; {
				_, more, _ = r.lines.ReadLine()
			}
			err = fmt.Errorf("longer than %d KiB", maxLine>>10)
		} else {
			order, err = parse(line)
		}
		if err != nil {
			return Order{}, &LineError{Line: r.line, Err: err}
		}
		return order, nil
	}
}

// Line returns the number of the line that Read returned last, counted from 1.
func (r *Reader) Line() int { return r.line }

// LineError is what is wrong with one line of input.
type LineError struct {
	Line int // counted from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

func parse(line []byte) (Order, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var order *Order
	if err := decoder.Decode(&order); err != nil {
		return Order{}, explain(err)
	}
	if order == nil {
		return Order{}, notAnOrder("null")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Order{}, errors.New("more than one JSON value: want one object a line")
	}
	return *order, order.Validate()
}

func notAnOrder(got string) error {
	return fmt.Errorf("not an order: want an object with id, item, quantity and price_cents, got %s", got)
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
		return notAnOrder(typeErr.Value)
	case typeErr.Type.Kind() == reflect.String:
		return fmt.Errorf("%s must be a string, not %s", typeErr.Field, typeErr.Value)
	default:
		return fmt.Errorf("%s must be a whole number, not %s", typeErr.Field, typeErr.Value)
	}
}
