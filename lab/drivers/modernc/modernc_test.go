// Package modernc_test has no TestDriver: the sqlite module's own tests are on this
// driver.
package modernc_test

import (
	"testing"

	_ "modernc.org/sqlite"

	"github.com/memstreamer/memstreamer/lab/drivers"
)

var driver = drivers.Driver{Name: "sqlite", DSN: func(file string) string {
	return "file:" + file + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
}}

func TestMain(m *testing.M) { drivers.Main(m, driver) }

func TestFaults(t *testing.T) { drivers.Faults(t, driver) }

func TestInTx(t *testing.T) { drivers.InTx(t, driver) }
