package sqlite

import "strings"

// ends reports whether a statement of query would end the transaction: a COMMIT, an END
// that is not a trigger's, or a ROLLBACK that is not to a savepoint.
func ends(query string) bool {
	var words [3]string // the first of the statement
	n, trigger := 0, false
	is := func(i int, word string) bool { return strings.EqualFold(words[i], word) }
	for token, rest := nextToken(query); ; token, rest = nextToken(rest) {
		if token != "" && token != ";" {
			if n < len(words) {
				words[n] = token
				n++
			}
			continue
		}
		switch {
		case trigger: // its statements end with semicolons, too
			trigger = !is(0, "END")
		case is(0, "CREATE") && (is(1, "TRIGGER") || is(2, "TRIGGER") && (is(1, "TEMP") || is(1, "TEMPORARY"))):
			trigger = true
		case is(0, "COMMIT"), is(0, "END"), is(0, "ROLLBACK") && !is(1, "TO") && !is(2, "TO"):
			return true
		}
		if token == "" {
			return false
		}
		words, n = [3]string{}, 0
	}
}

// nextToken returns the next word of SQL, the first character of what is none, and
// nothing at the end. Comments are passed over.
func nextToken(sql string) (token, rest string) {
	for sql != "" {
		n := 0
		for n < len(sql) && isWord(sql[n]) {
			n++
		}
		switch {
		case strings.HasPrefix(sql, "\ufeff"): // which SQLite passes over
			sql = sql[len("\ufeff"):]
		case n > 0:
			return sql[:n], sql[n:]
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql[2:], "*/")
		case strings.IndexByte(" \t\n\f\r", sql[0]) >= 0:
			sql = sql[1:]
		case strings.IndexByte("'\"`[", sql[0]) >= 0:
			// A quote that is doubled within ends here, and begins again at once.
			_, rest, _ = strings.Cut(sql[1:], strings.Replace(sql[:1], "[", "]", 1))
			return sql[:1], rest
		default:
			return sql[:1], sql[1:]
		}
	}
	return "", ""
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '$' || c >= 0x80
}
