package program

import (
	"bufio"
	"bytes"
	_ "embed" // for Sample
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// Sample is a few dozen orders, as JSON lines.
//
//go:embed sample.jsonl
var Sample string

// openInput opens the file of -in, - for standard input. It returns nil for none,
// which is the sample.
func openInput(name string, stdin io.Reader) (io.ReadCloser, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return io.NopCloser(stdin), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("-in: %w", err)
	}
	// Some systems open a directory, and then do not read it.
	if info, err := file.Stat(); err == nil && info.IsDir() {
		file.Close()
		return nil, fmt.Errorf("-in: %s is a directory", name)
	}
	return file, nil
}

const maxLine = 64 << 10 // bytes

// line is one line of input: an order, or what is wrong with it.
type line struct {
	number int // counted from 1
	order  fulfilment.Order
	err    error
}

// readLines calls each with the lines of r that are not blank, until the end of r
// or an error, which it returns.
func readLines(r io.Reader, each func(line) error) error {
	lines := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		text, tooLong, err := lines.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		l := line{number: number}
		if tooLong {
			// An error in the rest of the line comes back at the next ReadLine.
			for more := true; more; {
				_, more, _ = lines.ReadLine()
			}
			l.err = fmt.Errorf("longer than %d KiB", maxLine>>10)
		} else if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		} else {
			l.order, l.err = parse(text)
		}
		if err := each(l); err != nil {
			return err
		}
	}
}

// readSample calls each with the lines of the sample, and goes through it so often,
// with new order IDs each time.
func readSample(rounds int, each func(line) error) error {
	for round := range rounds {
		err := readLines(strings.NewReader(Sample), func(l line) error {
			if round > 0 {
				l.order.ID = fmt.Sprintf("%s-%d", l.order.ID, round+1)
			}
			return each(l)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func parse(text []byte) (fulfilment.Order, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var order *fulfilment.Order
	if err := decoder.Decode(&order); err != nil {
		return fulfilment.Order{}, explain(err)
	}
	if order == nil {
		return fulfilment.Order{}, notAnOrder("null")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fulfilment.Order{}, errors.New("more than one JSON value: want one object a line")
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
