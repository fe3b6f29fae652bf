package jetstream

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
)

// maxToken keeps a consumer's name, two tokens and the 14 bytes more of an ephemeral
// one, within the 255 bytes that servers and file systems allow.
const maxToken = 120

// token returns s, any bytes, as one token of a subject and part of a file name.
// Lower-case letters, digits and '-' stay. Any other byte becomes '%' and two
// hexadecimal digits, upper case too, since some file systems ignore case. A token
// that would be too long ends in '~' and a hash of s. Different strings have
// different tokens.
func token(s string) string {
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	if b.Len() <= maxToken {
		return b.String()
	}
	hash := sha256.Sum256([]byte(s))
	suffix := "~" + hex.EncodeToString(hash[:])
	return b.String()[:maxToken-len(suffix)] + suffix
}

// fromToken returns what token made s of, or s itself if that ends in a hash.
func fromToken(s string) string {
	if strings.Contains(s, "~") {
		return s
	}
	decoded, err := url.PathUnescape(s)
	if err != nil {
		return s // it is not a token
	}
	return decoded
}

// subjectOf returns the subject that is topic in stream.
func subjectOf(stream, topic string) string {
	return stream + "." + token(topic)
}

// consumerOf returns the name of the consumer that is the cursor of
// (topic, name).
func consumerOf(topic, name string) string {
	return token(topic) + "@" + token(name)
}
