package memwatermill

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Config configures a [PubSub]. Its zero value is a PubSub without a consumer
// group.
type Config struct {
	// ConsumerGroup names the group of the subscribers. They share one position on
	// each topic, under this name in the Stats of the streamer. It must not contain
	// a #.
	//
	// Without a group each subscription is a consumer of its own, which is forgotten
	// when it ends. That needs a streamer with the method
	//
	//	Forget(ctx context.Context, topic, name string) error
	//
	// as those of memstreamer have. On another, and after a crash, the consumer stays
	// until the streamer forgets it by its own rules, such as its retention.
	ConsumerGroup string

	// StreamFromLatest starts a new consumer after the newest message. The default is
	// to start at the oldest kept. A group that has a position resumes there.
	StreamFromLatest bool

	// Lanes is how many messages a group handles at once. The default is 1, which
	// keeps the order of the topic. With more, messages with the same LaneKey are
	// handled in order and one at a time, and others do not wait for them.
	//
	// All subscribers of a group need the same number. The README says what happens to
	// waiting messages when it changes.
	Lanes int

	// LaneKey returns the key of a message, which it must not change. The default
	// is its UUID: no order beyond that of redeliveries. It must be safe for
	// concurrent use, and return the same for a message in every process.
	LaneKey func(*message.Message) string

	// NackDelay is the delay before a nacked message is delivered again. It doubles
	// with each Nack in a row, up to MaxNackDelay, and is reset by an Ack. The lane
	// waits meanwhile. The defaults are 100 ms and 10 s; a negative NackDelay means no
	// delay. Calls of a streamer that fail are repeated after the same delays, and at
	// least 100 ms.
	NackDelay    time.Duration
	MaxNackDelay time.Duration

	// CloseTimeout is how long an ending subscription waits for messages that are
	// being handled. The default is 30 s.
	CloseTimeout time.Duration
}

func (c *Config) setDefaults() {
	c.Lanes = cmp.Or(c.Lanes, 1)
	if c.LaneKey == nil {
		c.LaneKey = func(m *message.Message) string { return m.UUID }
	}
	c.NackDelay = cmp.Or(c.NackDelay, 100*time.Millisecond)
	c.MaxNackDelay = cmp.Or(c.MaxNackDelay, max(10*time.Second, c.NackDelay))
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 30*time.Second)
}

// Validate returns an error that names each field with an invalid value.
func (c Config) Validate() error {
	c.setDefaults()
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if strings.Contains(c.ConsumerGroup, laneMark) {
		refuse("ConsumerGroup %q contains a %s", c.ConsumerGroup, laneMark)
	}
	if c.Lanes < 1 {
		refuse("Lanes is %d: it must be positive", c.Lanes)
	}
	if c.MaxNackDelay < max(c.NackDelay, 0) {
		refuse("MaxNackDelay is %v: it must not be less than NackDelay, %v", c.MaxNackDelay, c.NackDelay)
	}
	if c.CloseTimeout < 0 {
		refuse("CloseTimeout is %v: it must not be negative", c.CloseTimeout)
	}
	return errors.Join(errs...)
}

// start is the option of a new consumer.
func (c Config) start(o *options) { o.StreamFromLatest = c.StreamFromLatest }

// delay returns the pause after that many failures in a row.
func (c Config) delay(failures int) time.Duration {
	if c.NackDelay < 0 {
		return 0
	}
	d := c.NackDelay
	for range failures - 1 {
		if d > c.MaxNackDelay/2 {
			return c.MaxNackDelay
		}
		d *= 2
	}
	return d
}
