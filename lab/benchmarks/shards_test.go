package benchmarks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkShards is measureRuns at 100 a second, with steps of so many shards.
func BenchmarkShards(b *testing.B) {
	for _, s := range Shardeds {
		b.Run("peer="+s.Name, func(b *testing.B) {
			p, err := s.parts()
			require.NoError(b, err)
			e, stop := startEngine(b, p)
			defer stop()
			e.measureRuns(b, time.Second/100)
		})
	}
}
