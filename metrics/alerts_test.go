package metrics_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requirePromtool is the environment variable that, if set, makes TestAlerts
// fail rather than skip for want of promtool.
const requirePromtool = "MEMSTREAMER_REQUIRE_PROMTOOL"

func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv(requirePromtool) != "" {
			t.Fatalf("no promtool found, and %s is set: install it (apt-get install --no-install-recommends prometheus)", requirePromtool)
		}
		t.Skip("no promtool found: install it to test the alerts (apt-get install --no-install-recommends prometheus)")
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"},
		{"test", "rules", "testdata/alerts_test.yml"},
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		assert.NoError(t, err, string(out))
	}
}

// The alerts and the README name only metrics that exist, and the README's table
// has each of them with its type and labels.
func TestMetricsThatAreNamed(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(content)
	}
	families, err := register(collector(busy)).Gather()
	require.NoError(t, err)
	exists := map[string]bool{}
	for _, family := range families {
		exists[family.GetName()] = true
		assert.NotEmpty(t, family.GetHelp(), family.GetName())
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		slices.SortFunc(labels, func(a, b string) int { return strings.Compare(b, a) }) // topic first
		row := strings.TrimRight(fmt.Sprintf("| `%s` | %s | %s", family.GetName(),
			strings.ToLower(family.GetType().String()), strings.Join(labels, ", ")), " ") + " | "
		assert.True(t, strings.Contains(read("README.md"), "\n"+row), "README.md has no row %s", row)
	}
	for _, name := range []string{"alerts.yml", "testdata/alerts_test.yml", "README.md"} {
		named := regexp.MustCompile(`\bmemstreamer_\w+`).FindAllString(read(name), -1)
		require.NotEmpty(t, named, name)
		for _, metric := range named {
			assert.True(t, exists[metric], "%s names %s, which does not exist", name, metric)
		}
	}
}
