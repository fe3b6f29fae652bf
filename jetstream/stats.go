package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/memstreamer/memstreamer"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	// statsPatience limits a call of Stats whose context has no deadline.
	statsPatience = 5 * time.Second
	// statsAtOnce is how many requests for an event a call of Stats has under way.
	statsAtOnce = 16
)

// Stats asks the server for the state of the stream and of its consumers, those of all
// processes.
//
// It reads one event of each consumer that lags, for its time, and two of each topic,
// for their IDs, 16 at a time. It repeats no request and fails with the first error:
// with ctx's when ctx is done, and after 5 seconds if ctx has no deadline. The result is
// not a snapshot of one moment, since the server goes on meanwhile.
//
// These figures differ from those of a streamer in memory:
//
//   - Open and Parked count receivers and calls of Recv of this Streamer alone.
//   - Deliveries and Acked count deliveries by the server. A Recv that returns an event
//     again within this process is not counted, and an event that was delivered twice
//     before its ack counts twice in Acked.
//   - The server delivers the events of other shards, too: until a consumer with a
//     [memstreamer.Shard] has passed over them, they count in Lag and OldestUnacked, and
//     for good in Acked and AckedID.
//   - Sent is Retained, or 0 with WithMaxAge, WithMaxBytes or WithMaxEvents: the server
//     does not count what it has deleted.
//   - A topic without events and consumers is left out. A topic or name of more than 120
//     bytes may be shown with a hash in place of its end.
func (s *Streamer) Stats(ctx context.Context) (memstreamer.Stats, error) {
	s.mustBeMade()
	var stats memstreamer.Stats
	err := s.call(ctx, "Stats", func(joined context.Context) (err error) {
		if _, limited := ctx.Deadline(); !limited {
			var cancel context.CancelFunc
			joined, cancel = context.WithTimeout(joined, statsPatience)
			defer cancel()
		}
		stats, err = s.stats(joined)
		return err
	})
	return stats, err
}

func (s *Streamer) stats(ctx context.Context) (memstreamer.Stats, error) {
	stream, err := s.js.Stream(ctx, s.opts.stream)
	if err != nil {
		return memstreamer.Stats{}, err
	}
	info, err := stream.Info(ctx, natsjs.WithSubjectFilter(s.opts.stream+".*"))
	if err != nil {
		return memstreamer.Stats{}, err
	}
	consumers, err := s.listConsumers(ctx)
	if err != nil {
		return memstreamer.Stats{}, err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	events := eventReader{ctx: ctx, cancel: cancel, stream: stream, turns: make(chan struct{}, statsAtOnce)}
	topics := make(map[string]*memstreamer.TopicStats) // by subject
	receivers := make([]memstreamer.ReceiverStats, len(consumers))
	for i, c := range consumers {
		subject, r := c.Config.FilterSubject, &receivers[i]
		*r = s.receiverStats(c)
		if topics[subject] == nil {
			topics[subject] = &memstreamer.TopicStats{Topic: r.Topic}
		}
		if r.Lag > 0 {
			events.read(c.AckFloor.Stream+1, subject, func(m *natsjs.RawStreamMsg) { r.OldestUnacked = m.Time.Local() })
		}
	}
	for subject, kept := range info.State.Subjects {
		if topics[subject] == nil {
			topics[subject] = &memstreamer.TopicStats{Topic: fromToken(strings.TrimPrefix(subject, s.opts.stream+"."))}
		}
		t := topics[subject]
		t.Retained = int(kept)
		if s.opts.keepsAll() {
			t.Sent = int64(kept)
		}
		events.read(info.State.FirstSeq, subject, func(m *natsjs.RawStreamMsg) { t.FirstID = int64(m.Sequence) })
		events.read(0, subject, func(m *natsjs.RawStreamMsg) { t.LastID = int64(m.Sequence) })
	}
	events.reads.Wait()
	if err := context.Cause(ctx); err != nil {
		return memstreamer.Stats{}, err
	}

	stats := memstreamer.Stats{Topics: make([]memstreamer.TopicStats, 0, len(topics)), Receivers: receivers}
	for _, t := range topics {
		stats.Topics = append(stats.Topics, *t)
	}
	slices.SortFunc(stats.Topics, func(a, b memstreamer.TopicStats) int { return cmp.Compare(a.Topic, b.Topic) })
	slices.SortFunc(stats.Receivers, func(a, b memstreamer.ReceiverStats) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name))
	})
	return stats, nil
}

// listConsumers returns the stream's consumers that are cursors.
func (s *Streamer) listConsumers(ctx context.Context) ([]*natsjs.ConsumerInfo, error) {
	var all []*natsjs.ConsumerInfo
	for offset := 0; ; {
		// ListConsumers of nats.go does not tell which are missing.
		m, err := s.conn.RequestWithContext(ctx, s.apiSubject("CONSUMER.LIST."+s.opts.stream), fmt.Appendf(nil, `{"offset":%d}`, offset))
		if err != nil {
			return nil, err
		}
		var page struct {
			Error     *natsjs.APIError       `json:"error"`
			Total     int                    `json:"total"`
			Consumers []*natsjs.ConsumerInfo `json:"consumers"`
			Missing   []string               `json:"missing"`
		}
		if err := json.Unmarshal(m.Data, &page); err != nil {
			return nil, err
		}
		if page.Error != nil {
			return nil, page.Error
		}
		if len(page.Missing) > 0 {
			return nil, fmt.Errorf("no answer about the consumers %q", page.Missing)
		}
		for _, c := range page.Consumers {
			if c.Config.Description == cursorDescription {
				all = append(all, c)
			}
		}
		offset += len(page.Consumers)
		if len(page.Consumers) == 0 || offset >= page.Total {
			return all, nil
		}
	}
}

// receiverStats returns what is known without the event that the consumer is at.
func (s *Streamer) receiverStats(info *natsjs.ConsumerInfo) memstreamer.ReceiverStats {
	r := memstreamer.ReceiverStats{
		Ephemeral:  info.Config.Durable == "",
		Lag:        int64(info.NumPending) + int64(info.NumAckPending),
		Deliveries: int64(info.Delivered.Consumer - info.AckFloor.Consumer),
		Acked:      int64(info.AckFloor.Consumer),
	}
	r.Topic, r.Name = consumerNames(info)
	if r.Acked > 0 {
		r.AckedID = int64(info.AckFloor.Stream)
	}
	s.mu.Lock()
	c := s.cursors[info.Name]
	if c != nil {
		r.Open = c.receivers
	}
	s.mu.Unlock()
	if c != nil {
		c.mu.Lock()
		r.Parked = c.waiting
		c.mu.Unlock()
	}
	return r
}

// consumerNames returns the topic and name that a consumer is the cursor of.
func consumerNames(info *natsjs.ConsumerInfo) (topic, name string) {
	topic, name = info.Config.Metadata["topic"], info.Config.Metadata["name"]
	is := info.Name
	if info.Config.Durable == "" {
		is = is[:max(0, len(is)-len("~")-ephemeralToken)]
	}
	if consumerOf(topic, name) != is { // JSON cannot hold bytes that are not UTF-8
		topic, name, _ = strings.Cut(is, "@")
		topic, name = fromToken(topic), fromToken(name)
	}
	return topic, name
}

// eventReader reads events of a stream, statsAtOnce at a time.
type eventReader struct {
	ctx    context.Context
	cancel context.CancelCauseFunc // with the first error
	stream natsjs.Stream
	turns  chan struct{}
	reads  sync.WaitGroup
}

// read has use called with the first event of subject from that sequence on, or with
// the last if that is 0. If there is none, it is not called.
func (e *eventReader) read(sequence uint64, subject string, use func(*natsjs.RawStreamMsg)) {
	e.turns <- struct{}{}
	e.reads.Go(func() {
		defer func() { <-e.turns }()
		var m *natsjs.RawStreamMsg
		var err error
		if sequence == 0 {
			m, err = e.stream.GetLastMsgForSubject(e.ctx, subject)
		} else {
			m, err = e.stream.GetMsg(e.ctx, sequence, natsjs.WithGetMsgSubject(subject))
		}
		switch {
		case err == nil:
			use(m)
		case !errors.Is(err, natsjs.ErrMsgNotFound): // it was acked or deleted meanwhile
			e.cancel(err)
		}
	})
}
