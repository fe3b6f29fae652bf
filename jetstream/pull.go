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

// apiSubject returns the subject on which the server takes a request to its API.
func (s *Streamer) apiSubject(request string) string {
	prefix := "$JS.API."
	switch o := s.js.Options(); {
	case o.Domain != "":
		prefix = "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		prefix = strings.TrimSuffix(o.APIPrefix, ".") + "."
	}
	return prefix + request
}

// pull asks the server for the next event.
func (c *cursor) pull(ctx context.Context) error {
	in, err := c.streamer.inbox()
	if err != nil {
		return err
	}
	hidden := c.hidden()
	c.mu.Lock()
	c.inbox = in
	c.pulls++
	c.pulling, c.over, c.pulled = true, false, c.calls
	if hidden {
		c.forgot = true
		c.doubts++
	}
	reply := in.subject + "." + c.name + "." + strconv.FormatUint(c.pulls, 10)
	c.silence.Reset(2 * pullHeartbeat)
	c.mu.Unlock()
	request := fmt.Sprintf(`{"batch":1,"expires":%d,"idle_heartbeat":%d}`, pullExpiry, pullHeartbeat)
	subject := c.streamer.apiSubject("CONSUMER.MSG.NEXT." + c.streamer.opts.stream + "." + c.name)
	if err := c.streamer.ask(subject, reply, request); err != nil || !hidden {
		return err
	}
	return c.readRecord(ctx)
}

// hidden reports whether the server of the consumer may be killed, and come back,
// without a loss of this connection, which is to another: of a cluster, where the
// consumer has one replica, or a leaf node.
func (c *cursor) hidden() bool {
	s := c.streamer
	if c.acks == nil || s.opts.replicas > 1 {
		return false
	}
	server := s.home
	if s.clustered {
		server = leaderOf(c.consumer.CachedInfo().Cluster)
	}
	return server != s.conn.ConnectedServerName()
}

// readRecord reads which event was acked last, behind a pull request. If that reaches
// a server that has come back, and has forgotten acks, those were confirmed before the
// pull request came to any server that could pass it on, and so before this. If it
// reaches one that is killed later, it is lost with it, and another follows.
func (c *cursor) readRecord(ctx context.Context) error {
	var record int64
	err := c.persist(ctx, "the record of acks", patience, func(ctx context.Context) (err error) {
		record, err = c.acks.read(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	news := record > c.acked
	c.written = max(c.written, record)
	c.ackedLocked(record)
	// What another process has acked, the server may take for an event that is out.
	c.forgot = news && c.held == nil
	c.doubts++
	if c.held != nil && !c.unsure {
		c.held.current = c.pulled
	}
	return nil
}

// deliver takes an event from the server.
func (c *cursor) deliver(in *inbox, d *delivery) {
	reconnects := c.streamer.conn.Stats().Reconnects
	c.mu.Lock()
	late := in != c.inbox // it answers a pull request that was given up
	if !late {
		c.pulling = false
		c.silence.Stop()
	}
	wanted := c.waiting > 0
	switch {
	case d.id <= c.catchUpTo:
		c.again, wanted = d, true
	case d.id <= c.acked:
		// The server has forgotten an ack, or this is an event of another stream:
		// check finds out.
		c.doubtLocked()
	case c.held != nil && c.held.id == d.id:
		// Another copy, after AckWait or a takeover.
		wanted = true
	case late:
		wanted = false
	case wanted:
		// One event is out at a time: what was held is acked elsewhere.
		c.held = d
		switch {
		case reconnects != c.reconnects:
			// The server may be another than the one that was asked, and have
			// forgotten acks.
			c.reconnects, c.free = reconnects, false
			c.doubtLocked()
		case !c.forgot:
			d.current = c.pulled
		}
	default:
		c.held = nil
	}
	c.changedLocked()
	c.mu.Unlock()

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
	if !c.pulling || pull != strconv.FormatUint(c.pulls, 10) {
		c.mu.Unlock()
		return
	}
	switch status {
	case "100": // a heartbeat
		c.silence.Reset(2 * pullHeartbeat)
	case "408": // it expired
		c.pulling = false
		c.silence.Stop()
		c.changedLocked()
	default:
		// The consumer changed its leader, has none at the moment, or is gone.
		c.over = true
		c.streamer.log.Info("pull request ended", "consumer", c.name, "status", status, "description", description)
		c.silence.Reset(retryDelay)
	}
	c.mu.Unlock()
	c.streamer.dropUnused(c)
}

// doubt gives the pull request up soon. A new leader may not be ready for the next
// one yet. It takes whether the consumer may be gone, or made anew.
func (c *cursor) doubt(anew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if anew {
		c.doubtLocked()
	}
	if c.pulling {
		c.silence.Reset(retryDelay)
	}
}

// lostPull gives up the pull request. An event may have been lost with it.
func (c *cursor) lostPull() {
	c.mu.Lock()
	c.free = false
	c.doubtLocked()
	c.giveUpPullLocked()
	c.mu.Unlock()
	c.streamer.dropUnused(c)
}

// lostInbox gives up the pull request if it delivers to in.
func (c *cursor) lostInbox(in *inbox) {
	c.mu.Lock()
	lost := c.pulling && c.inbox == in
	c.mu.Unlock()
	if lost {
		c.lostPull()
	}
}

// giveUpPullLocked waits no longer for the answer to the pull request.
func (c *cursor) giveUpPullLocked() {
	if c.pulling && !c.over {
		c.inbox.stale.Store(true)
	}
	c.pulling = false
	c.silence.Stop()
	c.changedLocked()
}
