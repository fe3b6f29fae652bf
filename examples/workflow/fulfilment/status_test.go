package fulfilment_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

func TestStatusNames(t *testing.T) {
	assert.Equal(t, "placed", fulfilment.Placed.String())
	assert.Equal(t, "delivered", fulfilment.Delivered.String())
	assert.Equal(t, "Status(0)", fulfilment.Status(0).String())
	assert.Equal(t, "Status(9)", fulfilment.Status(9).String())
	assert.Equal(t, "fulfilment-packed", fulfilment.Packed.Topic())
}
