package jetstream

import (
	"fmt"

	"github.com/memstreamer/memstreamer"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// shard is the events whose ID, divided by count, leaves index; all where count is 0.
type shard struct{ index, count int64 }

// shardKey is that of a consumer's metadata.
const shardKey = "shard"

func shardOf(o memstreamer.ReceiverOptions) shard {
	return shard{int64(o.ShardIndex), int64(o.ShardCount)}
}

// shardIn returns the shard that mark has put into the metadata of a consumer.
func shardIn(config natsjs.ConsumerConfig) (s shard) {
	_, _ = fmt.Sscanf(config.Metadata[shardKey], "Shard(%d, %d)", &s.index, &s.count)
	return s
}

func (s shard) mark(config *natsjs.ConsumerConfig) {
	if s.count > 0 {
		config.Metadata[shardKey] = s.String()
	}
}

func (s shard) String() string {
	if s.count == 0 {
		return "no Shard"
	}
	return fmt.Sprintf("Shard(%d, %d)", s.index, s.count)
}

func (s shard) has(id int64) bool { return s.count == 0 || id%s.count == s.index }

// check returns an error unless a receiver of asked may read a consumer of s.
func (s shard) check(asked shard) error {
	if s == asked {
		return nil
	}
	return fmt.Errorf("%w: the consumer was made with %v, and the receiver is opened with %v: forget it first, or choose another name", memstreamer.ErrShard, s, asked)
}
