package main

import (
	"fmt"
	"os"
	"regexp"
)

// The table in short is between two marks, in RESULTS.md and in the README.
const (
	tableStart = "<!-- results -->"
	tableEnd   = "<!-- /results -->"
)

var shortTable = regexp.MustCompile(`(?s)` + tableStart + `.*` + tableEnd)

// copyTable puts the table of one file in place of that of another.
func copyTable(from, to string) error {
	texts := make(map[string][]byte)
	for _, file := range []string{from, to} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !shortTable.Match(text) {
			return fmt.Errorf("%s has no %s with a %s after it, for the table to be between", file, tableStart, tableEnd)
		}
		texts[file] = text
	}
	return os.WriteFile(to, shortTable.ReplaceAllLiteral(texts[to], shortTable.Find(texts[from])), 0o644)
}
