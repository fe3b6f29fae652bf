package jetstream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pullHeartbeat is how often the server says that it still has a pull
	// request. One that is silent for twice as long is taken for lost.
	pullHeartbeat = 5 * time.Second
	// pullExpiry ends a pull request that nobody waits for any more.
	pullExpiry = 2 * time.Minute
)

// pull is the newest pull request of a cursor.
type pull struct {
	n       uint64      // counts the pull requests, and names this
	inbox   *inbox      // where it delivers
	out     bool        // it is with the server
	over    bool        // it is not: the server said so, and the next is sent in a moment
	call    uint64      // the value of the cursor's calls when it was sent
	silence *time.Timer // runs while it is out, calls lostPull
}

// sendPull asks the server for the next event.
func (c *cursor) sendPull(ctx context.Context) error {
	in, err := c.streamer.inbox()
	if err != nil {
		return err
	}
	hidden := c.hidden()
	c.mu.Lock()
	c.pull.inbox = in
	c.pull.n++
	c.pull.out, c.pull.over, c.pull.call = true, false, c.calls
	if hidden {
		c.doubts.raise(&c.doubts.forgot)
	}
	reply := in.subject + "." + c.name + "." + strconv.FormatUint(c.pull.n, 10)
	c.pull.silence.Reset(2 * pullHeartbeat)
	c.mu.Unlock()
	request := fmt.Sprintf(`{"batch":1,"expires":%d,"idle_heartbeat":%d}`, pullExpiry, pullHeartbeat)
	subject := c.streamer.apiSubject("CONSUMER.MSG.NEXT." + c.streamer.opts.stream + "." + c.name)
	if err := c.streamer.ask(subject, reply, request); err != nil || !hidden {
		return err
	}
	return c.readRecord(ctx)
}

// deliver takes an event from the server.
func (c *cursor) deliver(in *inbox, d *delivery) {
	reconnects := c.streamer.conn.Stats().Reconnects
	c.mu.Lock()
	late := in != c.pull.inbox // it answers a pull request that was given up
	if !late {
		c.pull.out = false
		c.pull.silence.Stop()
	}
	wanted, foreign := c.waiting > 0, false
	switch {
	case !c.shard.has(d.id):
		c.ackedLocked(d.id)
		foreign, wanted = true, true
	case d.id <= c.acks.upTo:
		// The server has forgotten an ack, or this is an event of another stream:
		// check finds out.
		c.doubts.raise(&c.doubts.unsure)
	case c.held != nil && c.held.id == d.id:
		// Another copy, after AckWait or a takeover.
		wanted = true
	case late:
		wanted = false
	case wanted:
		// One event is out at a time: those before d are acked, here or elsewhere.
		c.acks.upTo = max(c.acks.upTo, d.id-1)
		c.held = d
		switch {
		case c.doubts.reconnected(reconnects):
			// check finds out first.
		case !c.doubts.forgot:
			d.current = c.pull.call
		}
	default:
		c.held = nil
	}
	c.changedLocked()
	c.mu.Unlock()

	if foreign {
		c.streamer.passOver(d)
	}
	if !wanted {
		c.streamer.giveBack(d)
	}
	c.streamer.dropUnused(c)
}

// pullStatus takes what the server has to say about a pull request.
func (c *cursor) pullStatus(pull string, h nats.Header) {
	status, description := h.Get("Status"), h.Get("Description")
	if status == "400" || status == "409" && strings.HasPrefix(description, "Exceeded") {
		c.fail(fmt.Errorf("the server refuses pull requests: %s %s", status, description))
		return
	}
	c.mu.Lock()
	if !c.pull.out || pull != strconv.FormatUint(c.pull.n, 10) {
		c.mu.Unlock()
		return
	}
	switch status {
	case "100": // a heartbeat
		c.pull.silence.Reset(2 * pullHeartbeat)
	case "408": // it expired
		c.pull.out = false
		c.pull.silence.Stop()
		c.changedLocked()
	default:
		// The consumer changed its leader, has none at the moment, or is gone.
		c.pull.over = true
		c.streamer.log.Info("pull request ended", "consumer", c.name, "status", status, "description", description)
		c.pull.silence.Reset(retryDelay)
	}
	c.mu.Unlock()
	c.streamer.dropUnused(c)
}

// advised gives the pull request up soon, which another leader does not have. That may
// not be ready for the next one yet. It takes whether the consumer may be gone, or made
// anew.
func (c *cursor) advised(anew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if anew {
		c.doubts.raise(&c.doubts.unsure)
	}
	if c.pull.out {
		c.pull.silence.Reset(retryDelay)
	}
}

// lostPull gives up the pull request. An event may have been lost with it.
func (c *cursor) lostPull() {
	c.mu.Lock()
	c.doubts.free = false
	c.doubts.raise(&c.doubts.unsure)
	c.giveUpPullLocked()
	c.mu.Unlock()
	c.streamer.dropUnused(c)
}

// lostInbox gives up the pull request if it delivers to in.
func (c *cursor) lostInbox(in *inbox) {
	c.mu.Lock()
	lost := c.pull.out && c.pull.inbox == in
	c.mu.Unlock()
	if lost {
		c.lostPull()
	}
}

// giveUpPullLocked waits no longer for the answer to the pull request.
func (c *cursor) giveUpPullLocked() {
	if c.pull.out && !c.pull.over {
		c.pull.inbox.stale.Store(true)
	}
	c.pull.out = false
	c.pull.silence.Stop()
	c.changedLocked()
}
