package main

import (
	"fmt"
	"os"
	"strings"
)

// The marks around the table that RESULTS.md and the README share.
const (
	tableStart = "<!-- results -->"
	tableEnd   = "<!-- /results -->"
)

// copyTable puts the table of one file in place of that of another.
func copyTable(from, to string) error {
	source, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	target, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	_, table, _, err := cutTable(from, string(source))
	if err != nil {
		return err
	}
	before, _, after, err := cutTable(to, string(target))
	if err != nil {
		return err
	}
	return os.WriteFile(to, []byte(before+table+after), 0o644)
}

// cutTable cuts text, of the named file, around what is between the marks.
func cutTable(name, text string) (before, table, after string, err error) {
	before, rest, hasStart := strings.Cut(text, tableStart)
	table, after, hasEnd := strings.Cut(rest, tableEnd)
	if !hasStart || !hasEnd {
		return "", "", "", fmt.Errorf("%s has no %s with a %s after it, for the table to be between", name, tableStart, tableEnd)
	}
	return before + tableStart, table, tableEnd + after, nil
}
