package jetstream

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// streamConfig returns the stream that the options ask for.
func (o options) streamConfig() natsjs.StreamConfig {
	return natsjs.StreamConfig{
		Name:              o.stream,
		Description:       "events of memstreamer",
		Subjects:          []string{o.stream + ".*"},
		Retention:         natsjs.LimitsPolicy,
		Discard:           natsjs.DiscardOld,
		Storage:           o.storage,
		Replicas:          o.replicas,
		MaxAge:            o.maxAge,
		MaxBytes:          o.maxBytes,
		MaxMsgs:           o.maxMsgs,
		MaxMsgsPerSubject: -1,
		Duplicates:        duplicates(o.maxAge),
		ConsumerLimits:    natsjs.StreamConsumerLimits{InactiveThreshold: o.inactivity},
	}
}

// duplicates returns how long a stream recognizes a repeated message ID. Within
// that time a Send of unknown outcome is safe to repeat. It cannot exceed the max
// age.
func duplicates(maxAge time.Duration) time.Duration {
	const window = 2 * time.Minute
	if maxAge > 0 {
		return min(window, maxAge)
	}
	return window
}

// ensureStreams makes the streams that are missing.
func (s *Streamer) ensureStreams(ctx context.Context) error {
	stream, err := s.ensureStream(ctx, s.opts.streamConfig())
	if err != nil {
		return err
	}
	s.home = leaderOf(stream.CachedInfo().Cluster)
	// A server on its own says that it leads a cluster without a name.
	cluster := stream.CachedInfo().Cluster
	s.clustered = cluster != nil && cluster.Name != ""
	if !s.opts.exactAcks {
		return nil
	}
	stream, err = s.ensureStream(ctx, s.opts.ackConfig())
	s.acks = &ackRecords{js: s.js, stream: stream, name: s.opts.ackConfig().Name}
	return err
}

// leaderOf returns the name of the server that has a stream or a consumer, or leads
// its servers, as far as that is known.
func leaderOf(cluster *natsjs.ClusterInfo) string {
	if cluster == nil {
		return ""
	}
	return cluster.Leader
}

// ensureStream returns the stream want, made if there is none. One that exists
// has to be as the options say.
func (s *Streamer) ensureStream(ctx context.Context, want natsjs.StreamConfig) (stream natsjs.Stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err = s.persist(ctx, "the stream", patience, func(ctx context.Context) (err error) {
		stream, err = s.js.Stream(ctx, want.Name)
		if errors.Is(err, natsjs.ErrStreamNotFound) {
			_, err = s.js.CreateStream(ctx, want)
			if err == nil || errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
				// Another process may have been faster, with settings of its own. And the
				// answer to who makes a stream does not say on which server it is.
				stream, err = s.js.Stream(ctx, want.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stream %q: %w", want.Name, err)
	}
	if differ := differences(stream.CachedInfo().Config, want); len(differ) > 0 {
		return nil, fmt.Errorf("stream %q exists with other settings: %s; change the options, or the stream with the nats command line",
			want.Name, strings.Join(differ, ", "))
	}
	return stream, nil
}

// differences names each setting of a stream that is not as wanted.
func differences(is, want natsjs.StreamConfig) []string {
	var differ []string
	compare := func(name string, is, want any) {
		if !reflect.DeepEqual(is, want) {
			differ = append(differ, fmt.Sprintf("%s is %v and not %v", name, is, want))
		}
	}
	compare("subjects", is.Subjects, want.Subjects)
	compare("retention policy", is.Retention, want.Retention)
	compare("discard policy", is.Discard, want.Discard)
	compare("storage", is.Storage, want.Storage)
	compare("replicas", is.Replicas, want.Replicas)
	compare("max age", is.MaxAge, want.MaxAge)
	compare("max bytes", is.MaxBytes, want.MaxBytes)
	compare("max messages", is.MaxMsgs, want.MaxMsgs)
	compare("max messages per subject", is.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	// A longer window than was asked for is as good.
	compare("duplicate window", min(is.Duplicates, want.Duplicates), want.Duplicates)
	compare("consumer inactivity", is.ConsumerLimits.InactiveThreshold, want.ConsumerLimits.InactiveThreshold)
	compare("no ack", is.NoAck, false)
	return differ
}

// cursorDescription tells our consumers from others of the stream.
const cursorDescription = "a cursor of memstreamer"

// consumerConfig returns a consumer of a topic, which the name belongs to.
func (s *Streamer) consumerConfig(topic, name string) natsjs.ConsumerConfig {
	return natsjs.ConsumerConfig{
		Description:   cursorDescription,
		FilterSubject: subjectOf(s.opts.stream, topic),
		DeliverPolicy: natsjs.DeliverAllPolicy,
		AckPolicy:     natsjs.AckExplicitPolicy,
		AckWait:       AckWait,
		MaxDeliver:    -1,
		// One event out at a time keeps the order through redeliveries, and makes
		// the ack floor the cursor.
		MaxAckPending: 1,
		Metadata:      map[string]string{"topic": topic, "name": name},
	}
}

func (s *Streamer) durableConfig(topic, name string) natsjs.ConsumerConfig {
	config := s.consumerConfig(topic, name)
	config.Durable = consumerOf(topic, name)
	config.InactiveThreshold = s.opts.inactivity
	return config
}

// startAt sets where a new consumer starts, unless that is at the oldest event kept.
// It asks the server for its time, or for the end of the stream.
func (s *Streamer) startAt(ctx context.Context, config *natsjs.ConsumerConfig, o memstreamer.ReceiverOptions) error {
	if !o.StreamFromLatest && o.StreamFromLast == 0 {
		return nil
	}
	stream, err := s.js.Stream(ctx, s.opts.stream)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	if o.StreamFromLatest {
		// DeliverNewPolicy would begin at the end of the stream as the leader of the
		// new consumer sees it, later.
		startAfter(config, info.State.LastSeq)
		return nil
	}
	since := info.TimeStamp.Add(-o.StreamFromLast)
	config.DeliverPolicy, config.OptStartTime = natsjs.DeliverByStartTimePolicy, &since
	return nil
}

// startAfter has a new consumer start after the event of that sequence.
func startAfter(config *natsjs.ConsumerConfig, sequence uint64) {
	config.DeliverPolicy = natsjs.DeliverByStartSequencePolicy
	config.OptStartSeq, config.OptStartTime = sequence+1, nil
}

// ensureConsumer returns the durable consumer want, made if there is none.
func (s *Streamer) ensureConsumer(ctx context.Context, want natsjs.ConsumerConfig, o memstreamer.ReceiverOptions) (consumer natsjs.Consumer, created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err = s.persist(ctx, "a cursor", patience, func(ctx context.Context) (err error) {
		consumer, err = s.js.Consumer(ctx, s.opts.stream, want.Durable)
		if !errors.Is(err, natsjs.ErrConsumerNotFound) {
			return err
		}
		if want.DeliverPolicy == natsjs.DeliverAllPolicy {
			if err := s.startAt(ctx, &want, o); err != nil {
				return err
			}
		}
		consumer, err = s.js.CreateConsumer(ctx, s.opts.stream, want)
		created = err == nil
		if errors.Is(err, natsjs.ErrConsumerExists) {
			consumer, err = s.js.Consumer(ctx, s.opts.stream, want.Durable)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}

	is := consumer.CachedInfo().Config
	if is.FilterSubject != want.FilterSubject || is.AckPolicy != want.AckPolicy || is.MaxAckPending != want.MaxAckPending {
		return nil, false, fmt.Errorf("consumer %q is not a cursor of memstreamer: its filter is %q, its ack policy %v, its max ack pending %d",
			want.Durable, is.FilterSubject, is.AckPolicy, is.MaxAckPending)
	}
	if err := shardIn(is).check(shardOf(o)); err != nil {
		return nil, false, err
	}
	if is.InactiveThreshold != want.InactiveThreshold {
		is.InactiveThreshold = want.InactiveThreshold
		consumer, err = s.js.UpdateConsumer(ctx, s.opts.stream, is)
	}
	return consumer, created, err
}

// deleteConsumer deletes a consumer if there is one of that name.
func (s *Streamer) deleteConsumer(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return s.persist(ctx, "a cursor", patience, func(ctx context.Context) error {
		err := s.js.DeleteConsumer(ctx, s.opts.stream, key)
		if errors.Is(err, natsjs.ErrConsumerNotFound) {
			err = nil
		}
		if err == nil && s.acks != nil {
			err = s.acks.forget(ctx, key)
		}
		return err
	})
}
