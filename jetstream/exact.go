package jetstream

import (
	"context"
	"errors"
	"fmt"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// ackRecords is the second stream of [WithExactAcks]. It has one message for each
// cursor, with the ID of the last acked event.
type ackRecords struct {
	js     natsjs.JetStream
	stream natsjs.Stream
	name   string
}

// ackConfig returns the stream that the options ask for.
func (o options) ackConfig() natsjs.StreamConfig {
	return natsjs.StreamConfig{
		Name:              o.stream + "_ACKS",
		Description:       "acks of memstreamer",
		Subjects:          []string{o.stream + "_ACKS.*"},
		Retention:         natsjs.LimitsPolicy,
		Discard:           natsjs.DiscardOld,
		Storage:           o.storage,
		Replicas:          o.replicas,
		MaxAge:            o.inactivity, // when the cursor goes too
		MaxBytes:          -1,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: 1,
		Duplicates:        duplicates(o.inactivity),
	}
}

func (a *ackRecords) subject(consumer string) string { return a.name + "." + consumer }

// ackRecord says that the events of a consumer up to id are acked.
type ackRecord struct {
	id       int64
	created  int64  // when the consumer was, which tells it from a later one of its name
	sequence uint64 // of the message, or 0 if there is none
}

// write notes that the events of c up to id are acked. A record is only replaced
// by a later one: an ack that another process confirmed meanwhile stays noted.
func (a *ackRecords) write(ctx context.Context, c *cursor, id int64) error {
	body := fmt.Appendf(nil, "%d %d", id, c.created.UnixNano())
	for {
		ack, err := a.js.Publish(ctx, a.subject(c.name), body,
			natsjs.WithExpectLastSequencePerSubject(c.acks.sequence.Load()), natsjs.WithRetryAttempts(0))
		if err == nil {
			c.acks.sequence.Store(ack.Sequence)
			return nil
		}
		if !replaced(err) {
			return err
		}
		last, err := a.last(ctx, c.name)
		if err != nil {
			return err
		}
		c.acks.sequence.Store(last.sequence)
		created := c.created.UnixNano()
		if last.created > created || last.created == created && last.id >= id {
			return nil
		}
	}
}

// replaced reports whether err says that there is another message than the one
// that was to be replaced.
func replaced(err error) bool {
	api, ok := errors.AsType[*natsjs.APIError](err)
	return ok && (api.ErrorCode == natsjs.JSErrCodeStreamWrongLastSequence || api.ErrorCode == natsjs.JSErrCodeStreamWrongLastSequenceConstant)
}

// read returns the ID of the last event of c that is acked, or 0.
func (a *ackRecords) read(ctx context.Context, c *cursor) (int64, error) {
	last, err := a.last(ctx, c.name)
	if err != nil {
		return 0, err
	}
	c.acks.sequence.Store(last.sequence)
	if last.created != c.created.UnixNano() {
		return 0, nil
	}
	return last.id, nil
}

// last returns the record of a consumer.
func (a *ackRecords) last(ctx context.Context, consumer string) (r ackRecord, err error) {
	msg, err := a.stream.GetLastMsgForSubject(ctx, a.subject(consumer))
	if errors.Is(err, natsjs.ErrMsgNotFound) {
		return ackRecord{}, nil
	}
	if err != nil {
		return ackRecord{}, err
	}
	r.sequence = msg.Sequence
	if _, err := fmt.Sscanf(string(msg.Data), "%d %d", &r.id, &r.created); err != nil {
		return ackRecord{}, fmt.Errorf("message %d of stream %q is not an ack: %w", msg.Sequence, a.name, err)
	}
	return r, nil
}

func (a *ackRecords) forget(ctx context.Context, consumer string) error {
	return a.stream.Purge(ctx, natsjs.WithPurgeSubject(a.subject(consumer)))
}

// hidden reports whether the server of the consumer may be killed, and come back,
// without a loss of this connection, which is to another: of a cluster, where the
// consumer has one replica, or a leaf node.
func (c *cursor) hidden() bool {
	s := c.streamer
	if c.acks.records == nil || s.opts.replicas > 1 {
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
		record, err = c.acks.records.read(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	news := record > c.acks.upTo
	c.acks.recorded = max(c.acks.recorded, record)
	c.ackedLocked(record)
	c.doubts.forgot = false
	switch {
	case c.held != nil && !c.doubts.unsure:
		c.held.current = c.pull.call
	case c.held == nil && news:
		// What another process has acked, the server may take for an event that is out.
		c.doubts.raise(&c.doubts.forgot)
	}
	return nil
}
