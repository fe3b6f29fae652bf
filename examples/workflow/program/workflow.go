package program

import (
	"context"

	"github.com/memstreamer/memstreamer"
	"github.com/memstreamer/memstreamer/examples/workflow/fulfilment"
)

// Workflow is the program in memory.
var Workflow = Program{
	Name: "workflow",
	About: `workflow runs orders through a small fulfilment engine on a memstreamer, and
shows what that costs: at work, and with nothing to do. An order is a JSON line:

  {"id": "A-1001", "item": "hand grinder", "quantity": 1, "price_cents": 7900}`,
	Repeat:     250,
	InProgress: 4,
	Open: func(context.Context) (memstreamer.EventStreamer, fulfilment.Store, func() error, error) {
		streamer := memstreamer.New()
		return streamer, fulfilment.NewMemoryStore(), streamer.Close, nil
	},
}
