package jetstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// ephemeralInactivity is how long the server keeps an ephemeral consumer that
// nothing is asked of.
const ephemeralInactivity = time.Minute

// ephemeralToken is how many random characters tell ephemeral consumers of one topic
// and name from each other.
const ephemeralToken = 12

// ephemeralConfig returns an ephemeral consumer, whose name no other has.
func (s *Streamer) ephemeralConfig(topic, name string) natsjs.ConsumerConfig {
	config := s.consumerConfig(topic, name)
	config.Name = consumerOf(topic, name) + "~" + rand.Text()[:ephemeralToken]
	config.InactiveThreshold = ephemeralInactivity
	if s.opts.inactivity > 0 {
		config.InactiveThreshold = min(config.InactiveThreshold, s.opts.inactivity)
	}
	// The default is one replica, which may be away while the stream is not.
	config.Replicas = s.opts.replicas
	return config
}

// openEphemeral makes an ephemeral consumer, which start has start where it is to, and
// returns the cursor on it, with one receiver.
func (s *Streamer) openEphemeral(ctx context.Context, topic, name string, of shard, start func(context.Context, *natsjs.ConsumerConfig) error) (*cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	config, started := s.ephemeralConfig(topic, name), false
	of.mark(&config)
	var consumer natsjs.Consumer
	err := s.persist(ctx, "an ephemeral cursor", patience, func(ctx context.Context) (err error) {
		if !started {
			if err := start(ctx, &config); err != nil {
				return err
			}
			started = true
		}
		consumer, err = s.js.CreateConsumer(ctx, s.opts.stream, config)
		return err
	})
	if err != nil {
		return nil, err
	}
	c := s.newCursor(config.Name, consumer)
	c.ephemeral = true
	return s.retainCursor(c.name, c), nil
}

// reopenEphemeral returns a cursor at the position of one that is gone.
func (s *Streamer) reopenEphemeral(ctx context.Context, topic, name string, gone *cursor) (*cursor, error) {
	return s.openEphemeral(ctx, topic, name, gone.shard, func(ctx context.Context, config *natsjs.ConsumerConfig) error {
		stream, err := s.js.Stream(ctx, s.opts.stream)
		if err != nil {
			return err
		}
		if created := stream.CachedInfo().Created; created.After(gone.created) {
			return fmt.Errorf("%w: stream %q was made anew at %v", errCursorGone, s.opts.stream, created)
		}
		if acked := gone.position(); acked > 0 {
			startAfter(config, uint64(acked))
			return nil
		}
		was := gone.consumer.CachedInfo().Config
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = was.DeliverPolicy, was.OptStartSeq, was.OptStartTime
		return nil
	})
}

// deleteEphemeral deletes the consumer of c. If that fails, the server does it after
// ephemeralInactivity.
func (s *Streamer) deleteEphemeral(c *cursor) {
	if err := s.tell(s.apiSubject("CONSUMER.DELETE."+s.opts.stream+"."+c.name), ""); err != nil {
		s.log.Debug("could not delete an ephemeral consumer", "consumer", c.name, "error", err)
	}
}
