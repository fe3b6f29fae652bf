package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// BenchmarkInTx compares InTx of a row and an event with a sql.Tx of the row alone, by
// callers that write at the same time. WAL, NORMAL, a pool of one:
//
//	go test -run - -bench InTx -count 10 . | benchstat -col /write -
func BenchmarkInTx(b *testing.B) {
	for _, callers := range []int{1, 16} {
		for _, write := range []string{"sql.Tx", "InTx"} {
			b.Run(fmt.Sprintf("callers=%d/write=%s", callers, write), func(b *testing.B) {
				s := openRows(b)
				call := func(n int) error {
					return s.InTx(context.Background(), func(tx *Tx) error { return both(tx, n) })
				}
				if write == "sql.Tx" {
					call = func(n int) error {
						tx, err := s.db.Begin()
						if err != nil {
							return err
						}
						_, err = tx.Exec(`INSERT INTO app VALUES (?)`, n)
						return errors.Join(err, tx.Commit())
					}
				}
				var next atomic.Int64
				var calling sync.WaitGroup
				b.ResetTimer()
				for range callers {
					calling.Go(func() {
						for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
							if !assert.NoError(b, call(n)) {
								return
							}
						}
					})
				}
				calling.Wait()
			})
		}
	}
}
