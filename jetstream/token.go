package jetstream

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxToken keeps a consumer's name, which is two tokens, within the 255 bytes
// that the server and its file system take.
const maxToken = 120

// token writes s, which may be any bytes, as one token of a subject and as a
// part of a file's name: lower-case letters, digits and '-' as they are, and
// each other byte as '%' and two hexadecimal digits. Upper case is among those
// since there are file systems that do not tell it apart. What gets too long
// ends in '~' and a hash of s instead. No two strings have the same token.
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

// subjectOf returns the subject that is topic in stream.
func subjectOf(stream, topic string) string {
	return stream + "." + token(topic)
}

// consumerOf returns the name of the consumer that is the cursor of
// (topic, name).
func consumerOf(topic, name string) string {
	return token(topic) + "@" + token(name)
}
