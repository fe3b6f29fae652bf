package ncruces_test

import (
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/memstreamer/memstreamer/lab/drivers"
)

var driver = drivers.Driver{Name: "sqlite3", DSN: func(file string) string {
	return "file:" + file + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
}}

func TestMain(m *testing.M) { drivers.Main(m, driver) }

func TestDriver(t *testing.T) { drivers.Run(t, driver) }

func TestFaults(t *testing.T) { drivers.Faults(t, driver) }

func TestInTx(t *testing.T) { drivers.InTx(t, driver) }

func TestRecords(t *testing.T) { drivers.Records(t, driver) }
