package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// write notes that the events of c up to id are acked.
func (a *ackRecords) write(ctx context.Context, c *cursor, id int64) error {
	// The time tells the consumer from a later one of its name.
	body := fmt.Sprintf("%d %d", id, c.created.UnixNano())
	_, err := a.js.Publish(ctx, a.subject(c.name), []byte(body), natsjs.WithRetryAttempts(0))
	return err
}

// read returns the ID of the last event of c that is acked, or 0.
func (a *ackRecords) read(ctx context.Context, c *cursor) (int64, error) {
	msg, err := a.stream.GetLastMsgForSubject(ctx, a.subject(c.name))
	if errors.Is(err, natsjs.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	number, created, _ := strings.Cut(string(msg.Data), " ")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("message %d of stream %q is not an ack: %w", msg.Sequence, a.name, err)
	}
	if created != strconv.FormatInt(c.created.UnixNano(), 10) {
		return 0, nil
	}
	return id, nil
}

func (a *ackRecords) forget(ctx context.Context, consumer string) error {
	return a.stream.Purge(ctx, natsjs.WithPurgeSubject(a.subject(consumer)))
}
