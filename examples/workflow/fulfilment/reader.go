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

// maxLine bounds the memory that one line takes, in bytes.
const maxLine = 64 << 10

var errTooLong = fmt.Errorf("longer than %d KiB", maxLine>>10)

// Reader reads orders from JSON lines: one object a line, with the fields of
// [Order] and no others. Lines of white space alone are passed over. It is not
// safe for concurrent use.
type Reader struct {
	lines *bufio.Reader
	line  int
}

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{lines: bufio.NewReaderSize(r, maxLine)}
}

// Read returns the next order. A line that is not a valid order fails with a
// [*LineError], and the next Read goes on after it. At the end Read fails with
// [io.EOF], and with the error of the underlying reader where that fails.
func (r *Reader) Read() (Order, error) {
	line, err := r.next()
	if err == nil {
		var order Order
		if order, err = parse(line); err == nil {
			return order, nil
		}
	} else if err != errTooLong {
		return Order{}, err
	}
	return Order{}, &LineError{Line: r.line, Err: err}
}

// Line returns the number of the line that Read returned last, counted from 1.
func (r *Reader) Line() int {
	return r.line
}

// next returns the next line with something on it. One that is too long is read
// to its end.
func (r *Reader) next() ([]byte, error) {
	for {
		line, tooLong, err := r.lines.ReadLine()
		if err != nil {
			return nil, err
		}
		r.line++
		if tooLong {
			// An error in the rest of the line comes back at the next call.
			for tooLong && err == nil {
				_, tooLong, err = r.lines.ReadLine()
			}
			return nil, errTooLong
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

// LineError is what is wrong with one line of input.
type LineError struct {
	Line int // counted from 1
	Err  error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

func (e *LineError) Unwrap() error {
	return e.Err
}

func parse(line []byte) (Order, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var order Order
	if err := decoder.Decode(&order); err != nil {
		return Order{}, explain(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Order{}, errors.New("more than one JSON value: want one object a line")
	}
	return order, order.Validate()
}

// explain says in a user's words what the JSON decoder says in a programmer's.
func explain(err error) error {
	if syntaxErr, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON: %w", syntaxErr)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: it ends in the middle of a value")
	}
	if typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		switch kind := typeErr.Type.Kind(); {
		case typeErr.Field == "":
			return fmt.Errorf("not an order: want an object with id, item, quantity and price_cents, got %s", typeErr.Value)
		case kind == reflect.String:
			return fmt.Errorf("%s must be a string, not %s", typeErr.Field, typeErr.Value)
		default:
			return fmt.Errorf("%s must be a whole number, not %s", typeErr.Field, typeErr.Value)
		}
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
