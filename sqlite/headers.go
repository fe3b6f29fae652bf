package sqlite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/memstreamer/memstreamer"
)

// Headers are a JSON object of strings, as text, for people and for SQLite's
// operators. Those with a string that is not UTF-8, which JSON cannot hold, are a
// blob: a JSON array of names and values in base64.

// text returns s as the database keeps it: as a blob if it is not what SQLite
// takes for text.
func text(s string) any {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return []byte(s)
}

// encodeHeaders returns headers as the database keeps them.
func encodeHeaders(headers map[memstreamer.Header]string) (any, error) {
	if headers == nil {
		return nil, nil
	}
	for name, value := range headers {
		if !utf8.ValidString(string(name)) || !utf8.ValidString(value) {
			return encodePairs(headers)
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(headers)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func encodePairs(headers map[memstreamer.Header]string) ([]byte, error) {
	pairs := make([][2][]byte, 0, len(headers))
	for name, value := range headers {
		pairs = append(pairs, [2][]byte{[]byte(name), []byte(value)})
	}
	return json.Marshal(pairs)
}

// plain undoes text. It reports false for a value that is no string.
func plain(v any) (string, bool) {
	if b, ok := v.([]byte); ok {
		return string(b), true
	}
	s, ok := v.(string)
	return s, ok
}

// decodeHeaders returns the headers of which encodeHeaders made v, in headers, from
// which it removes all others.
func decodeHeaders(headers map[memstreamer.Header]string, v any) (map[memstreamer.Header]string, error) {
	if v == nil {
		return nil, nil
	}
	s, ok := plain(v)
	if !ok {
		return nil, fmt.Errorf("they are a %T", v)
	}
	clear(headers)
	if decodePlain(headers, s) {
		return headers, nil
	}
	clear(headers)
	if strings.HasPrefix(s, "[") {
		var pairs [][2][]byte
		err := json.Unmarshal([]byte(s), &pairs)
		for _, p := range pairs {
			headers[memstreamer.Header(p[0])] = string(p[1])
		}
		return headers, err
	}
	err := json.Unmarshal([]byte(s), &headers)
	return headers, err
}

// decodePlain decodes JSON in which nothing is escaped, in a tenth of the time
// that encoding/json takes: a million events are read when a streamer is opened.
// It reports false for anything else.
func decodePlain(headers map[memstreamer.Header]string, s string) bool {
	if s == "{}" {
		return true
	}
	if strings.IndexByte(s, '\\') >= 0 || !strings.HasPrefix(s, `{"`) || !strings.HasSuffix(s, `"}`) {
		return false
	}
	// With nothing escaped, every quote is the end of a string or the start of one.
	for s = s[2:]; ; {
		name, rest, _ := strings.Cut(s, `"`)
		rest, colon := strings.CutPrefix(rest, `:"`)
		value, rest, _ := strings.Cut(rest, `"`)
		if !colon {
			return false
		}
		headers[memstreamer.Header(name)] = value
		if rest == "}" {
			return true
		}
		var comma bool
		if s, comma = strings.CutPrefix(rest, `,"`); !comma {
			return false
		}
	}
}
