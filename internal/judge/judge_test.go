package judge

import "testing"

// Each case is a name whose cursor starts at place 3, where nothing was acked yet.
func TestCursor(t *testing.T) {
	for name, test := range map[string]struct {
		calls func(c *Cursor) Mark // those before a Recv returns, which has the Mark
		right [2]int64             // the first and last place it may return
	}{
		"as it started": {func(c *Cursor) Mark { return c.Receiving() }, [2]int64{3, 3}},
		"acked": {func(c *Cursor) Mark {
			ack(c, c.Receiving(), 3)
			return c.Receiving()
		}, [2]int64{4, 4}},
		"acked meanwhile": {func(c *Cursor) Mark {
			m := c.Receiving()
			ack(c, m, 3)
			return m
		}, [2]int64{3, 4}},
		"ack not returned": {func(c *Cursor) Mark {
			c.Acking(3)
			return c.Receiving()
		}, [2]int64{3, 4}},
		"received, and not acked": {func(c *Cursor) Mark {
			c.Acking(3)
			c.Received(c.Receiving(), 4)
			return c.Receiving()
		}, [2]int64{4, 4}},
		"perhaps made anew": {func(c *Cursor) Mark {
			ack(c, c.Receiving(), 3)
			open(c, Start{1, 2}, false)
			return c.Receiving()
		}, [2]int64{1, 4}},
		"certainly made anew, and acked by what came before": {func(c *Cursor) Mark {
			before := c.Receiving()
			open(c, Start{7, 8}, true)
			ack(c, before, 9)
			return c.Receiving()
		}, [2]int64{7, 10}},
		"being made anew": {func(c *Cursor) Mark {
			c.Opening(Start{1, 2}, false)
			ack(c, c.Receiving(), 3)
			return c.Receiving()
		}, [2]int64{1, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			for place := range int64(12) {
				var c Cursor
				open(&c, Start{3, 3}, true)
				m := test.calls(&c)
				want := Right
				if place < test.right[0] {
					want = Behind
				} else if place > test.right[1] {
					want = Skipped
				}
				if got := c.Received(m, place); got != want {
					t.Errorf("place %d is judged %d, and not %d", place, got, want)
				}
			}
		})
	}
}

func open(c *Cursor, start Start, sure bool) {
	c.Opening(start, sure)
	c.Opened()
}

func ack(c *Cursor, m Mark, place int64) {
	c.Acking(place)
	c.Acked(m, place)
}
