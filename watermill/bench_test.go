package memwatermill_test

import (
	"fmt"
	"testing"

	"github.com/memstreamer/memstreamer"
)

// BenchmarkLanes handles 1,000 messages of 100 keys, each in 2 ms and in a
// goroutine of its own, as a Router does. It fails for one that is out of the
// order of its key.
func BenchmarkLanes(b *testing.B) {
	for _, lanes := range []int{1, 16} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			for b.Loop() {
				fx := &fixture{ctx: b.Context(), memory: memstreamer.New()}
				if err := fx.handled(lanes).Check(lanes); err != nil {
					b.Error(err)
				}
				fx.close()
			}
		})
	}
}
