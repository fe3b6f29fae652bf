package program

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 999999: "999,999", 1000000: "1,000,000", 1234567890: "1,234,567,890"} {
		assert.Equal(t, want, thousands(n))
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i+1) * time.Millisecond
	}
	assert.Equal(t, "50ms", percentile(hundred, 50))
	assert.Equal(t, "99ms", percentile(hundred, 99))
	assert.Equal(t, "1ms", percentile(hundred[:1], 99))
	assert.Equal(t, "2ms", percentile(hundred[:3], 50))
	assert.Equal(t, "-", percentile(nil, 50))
}

func TestRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 98765: "98.8µs", 1234567: "1.23ms", 5432198765: "5.43s", 2*time.Hour + 3*time.Second: "2h0m0s",
	} {
		assert.Equal(t, want, rounded(d).String())
	}
}

func TestRate(t *testing.T) {
	assert.Equal(t, "1,500", rate(3000, 2*time.Second))
	assert.Equal(t, "0", rate(1000, 0))
}
