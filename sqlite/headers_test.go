package sqlite

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/internal/journal"
)

func mapOf(list []journal.Header) map[memstreamer.Header]string {
	if list == nil {
		return nil
	}
	m := make(map[memstreamer.Header]string)
	for _, h := range list {
		m[memstreamer.Header(h.Name)] = h.Value
	}
	return m
}

// FuzzHeaders has headers decoded that were encoded.
func FuzzHeaders(f *testing.F) {
	f.Add("run_id", "1", "topic", "orders")
	f.Add("", "", `"`, `\`)
	f.Add("{", "}", ":", ",")
	f.Add("\xff", "\x00", "[", "]")
	f.Add(`","`, `":"`, "<", "\u2028")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		headers := map[memstreamer.Header]string{memstreamer.Header(name1): value1, memstreamer.Header(name2): value2}
		stored, list, err := encodeHeaders(headers)
		require.NoError(t, err)
		require.Equal(t, headers, mapOf(list))
		decoded, err := decodeHeaders([]journal.Header{}, stored)
		require.NoError(t, err)
		require.Equal(t, headers, mapOf(decoded))
	})
}

// FuzzPlain has JSON decoded by hand where encoding/json agrees.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"b"}`, `{"a":"b","c":"d"}`, `{"a":"b",}`, `{"a":"b""}`, `{"a":1}`, `{"a":"b","a":"c"}`, `{"a" : "b"}`, `{"a":"\""}`, `null`, `{"":""}`, `{"a","b":"c"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		decoded, ok := decodePlain([]journal.Header{}, s)
		var want map[memstreamer.Header]string
		if err := json.Unmarshal([]byte(s), &want); ok && err == nil && utf8.ValidString(s) {
			require.Equal(t, want, mapOf(decoded))
		}
	})
}
