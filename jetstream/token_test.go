package jetstream

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestToken(t *testing.T) {
	for s, want := range map[string]string{
		"orders-2":    "orders-2",
		"Orders":      "%4frders",
		"a.b c*d>e/f": "a%2eb%20c%2ad%3ee%2ff",
		"a%2eb":       "a%252eb",
		"\r\n\x00":    "%0d%0a%00",
		"ü":           "%c3%bc",
		"\xff":        "%ff",
		"a@b~c_d":     "a%40b%7ec%5fd",
	} {
		assert.Equal(t, want, token(s))
		assert.Equal(t, s, fromToken(want))
	}
	long := token(strings.Repeat("long", 100))
	assert.Equal(t, long, fromToken(long))
	assert.Equal(t, "%zz", fromToken("%zz"), "a subject that we have not made")
}

// FuzzToken looks for tokens that cannot be part of a subject or of a file's
// name, and for two strings with the same one.
func FuzzToken(f *testing.F) {
	long := strings.Repeat("long", 100)
	f.Add("topic", "TOPIC")
	f.Add("a.b", "a%2eb")
	f.Add(long+"a", long+"b")
	f.Add(long, token(long))
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(token(a)) > maxToken {
			t.Errorf("the token of %q has %d bytes", a, len(token(a)))
		}
		if i := strings.IndexFunc(token(a), func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-%~", r)
		}); i >= 0 {
			t.Errorf("the token of %q is %q", a, token(a))
		}
		if a != b && token(a) == token(b) {
			t.Errorf("%q and %q have the same token", a, b)
		}
	})
}
