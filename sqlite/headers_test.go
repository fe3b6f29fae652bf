package sqlite

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/memstreamer/memstreamer"
)

// FuzzHeaders has headers decoded that were encoded.
func FuzzHeaders(f *testing.F) {
	f.Add("run_id", "1", "topic", "orders")
	f.Add("", "", `"`, `\`)
	f.Add("{", "}", ":", ",")
	f.Add("\xff", "\x00", "[", "]")
	f.Add(`","`, `":"`, "<", "\u2028")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		headers := map[memstreamer.Header]string{memstreamer.Header(name1): value1, memstreamer.Header(name2): value2}
		stored, err := encodeHeaders(headers)
		require.NoError(t, err)
		decoded, err := decodeHeaders(map[memstreamer.Header]string{"of the event before": "1"}, stored)
		require.NoError(t, err)
		require.Equal(t, headers, decoded)
	})
}

// FuzzPlain has JSON decoded by hand where encoding/json agrees.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"b"}`, `{"a":"b","c":"d"}`, `{"a":"b",}`, `{"a":"b""}`, `{"a":1}`, `{"a":"b","a":"c"}`, `{"a" : "b"}`, `{"a":"\""}`, `null`, `{"":""}`, `{"a","b":"c"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		decoded := make(map[memstreamer.Header]string)
		ok := decodePlain(decoded, s)
		var want map[memstreamer.Header]string
		if err := json.Unmarshal([]byte(s), &want); ok && err == nil && utf8.ValidString(s) {
			require.Equal(t, want, decoded)
		}
	})
}
