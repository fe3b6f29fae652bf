package jetstream

import (
	"bytes"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/memstreamer/memstreamer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An event of text is readable where an operator looks at it.
func TestEncodeText(t *testing.T) {
	body, err := encode("order-<1>", 3, map[memstreamer.Header]string{"connector_data": `{"größe": 2}` + "\n"})
	require.NoError(t, err)
	assert.Equal(t, `{"foreign_id":"order-<1>","type":3,"headers":{"connector_data":"{\"größe\": 2}\n"}}`, string(body))
}

// Events that were sent before there were binary fields are still read.
func TestDecodeFirstFormat(t *testing.T) {
	e, err := decode([]byte(`{"foreign_id":"order-\u003c1\u003e","type":3,"headers":{"nul":"\u0000"}}`))
	require.NoError(t, err)
	assert.Equal(t, &memstreamer.Event{ForeignID: "order-<1>", Type: 3, Headers: map[memstreamer.Header]string{"nul": "\x00"}}, e)
	e, err = decode([]byte(`{"foreign_id":"","type":0,"headers":null}`))
	require.NoError(t, err)
	assert.Equal(t, &memstreamer.Event{}, e)
}

// What is not text takes no more than base64 does.
func TestEncodeSize(t *testing.T) {
	const size = 30_000
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, value := range map[string]string{
		"invalid":  strings.Repeat("\xff", size),
		"zeros":    strings.Repeat("\x00", size),
		"controls": strings.Repeat("1234\x01", size/5),
		"every":    string(bytes.Repeat(every, size/256)),
	} {
		body, err := encode("1", 1, map[memstreamer.Header]string{"payload": value})
		require.NoError(t, err)
		assert.Less(t, len(body), size*4/3+200, name)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("order-1", 1, "run_id", "run-1", "", "", byte(2))
	f.Add("\xff", -1, "\xff", "", "text", "\x00\x01", byte(2))
	f.Add("", 0, "", "", "", "", byte(0))
	f.Add("\u2028", math.MaxInt, "\xed\xa0\x80", "\x80", "<&>", "\ufffd", byte(2))
	f.Fuzz(func(t *testing.T, foreignID string, statusType int, name, value, name2, value2 string, headers byte) {
		want := memstreamer.Event{ForeignID: foreignID, Type: statusType}
		switch headers % 4 {
		case 1:
			want.Headers = map[memstreamer.Header]string{}
		case 2:
			want.Headers = map[memstreamer.Header]string{memstreamer.Header(name): value}
		case 3:
			want.Headers = map[memstreamer.Header]string{memstreamer.Header(name): value, memstreamer.Header(name2): value2}
		}
		sent := maps.Clone(want.Headers)
		body, err := encode(foreignID, statusType, sent)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(sent, want.Headers) {
			t.Errorf("encode changed the headers to %q", sent)
		}
		got, err := decode(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got.ForeignID != want.ForeignID || got.Type != want.Type || !maps.Equal(got.Headers, want.Headers) || (got.Headers == nil) != (want.Headers == nil) {
			t.Errorf("sent %+v, got %+v by %s", want, *got, body)
		}
	})
}
