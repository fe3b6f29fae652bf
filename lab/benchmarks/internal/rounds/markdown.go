package rounds

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// Table writes rows of cells, the first of which is the head, as a Markdown table
// whose columns are aligned in the text too. A column is shown aligned right
// where its head starts with a space.
func Table(rows [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	for i, row := range rows {
		rule := "|"
		for _, cell := range row {
			fmt.Fprintf(w, "| %s\t", strings.TrimSpace(cell))
			if strings.HasPrefix(cell, " ") {
				rule += "---:\t|"
			} else {
				rule += "---\t|"
			}
		}
		fmt.Fprintln(w, "|")
		if i == 0 {
			fmt.Fprintln(w, rule)
		}
	}
	_ = w.Flush() // a strings.Builder takes everything
	return text.String()
}

// Section returns what stands in a file between the line <!-- name --> and
// <!-- /name -->.
func Section(file, name string) (string, error) {
	_, section, _, err := cut(file, name)
	return section, err
}

// SetSection puts text in place of what [Section] returns.
func SetSection(file, name, text string) error {
	before, _, after, err := cut(file, name)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(before+text+after), 0o644)
}

// Mark returns text with the marks of a section around it.
func Mark(name, text string) string { return start(name) + text + end(name) }

func start(name string) string { return "<!-- " + name + " -->\n" }
func end(name string) string   { return "<!-- /" + name + " -->" }

func cut(file, name string) (before, section, after string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", "", err
	}
	before, rest, started := strings.Cut(string(text), start(name))
	section, after, ended := strings.Cut(rest, end(name))
	if !started || !ended {
		return "", "", "", fmt.Errorf("%s has no line %s with a %s after it, for the table to be between", file, strings.TrimSpace(start(name)), end(name))
	}
	return before + start(name), section, end(name) + after, nil
}
