package main

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/memstreamer/memstreamer"
	memwatermill "github.com/memstreamer/memstreamer/watermill"
)

// pubSub is a Watermill Pub/Sub.
type pubSub interface {
	message.Publisher
	message.Subscriber
}

// peer is one that does the jobs.
type peer struct {
	title string
	open  func() (pubSub, error)
}

// peers are all of them, ours first, to which the others are compared.
var peers = []peer{
	{"memstreamer", ours(memwatermill.Config{})},
	{"memstreamer, a group", ours(memwatermill.Config{ConsumerGroup: "group"})},
	{"memstreamer, a group with 16 lanes", ours(memwatermill.Config{ConsumerGroup: "group", Lanes: 16})},
	{"GoChannel", channel(gochannel.Config{})},
	{"GoChannel, Persistent", channel(gochannel.Config{Persistent: true})},
	{blocking, channel(gochannel.Config{BlockPublishUntilSubscriberAck: true})},
}

const blocking = "GoChannel, Block"

func ours(config memwatermill.Config) func() (pubSub, error) {
	config.CloseTimeout = time.Millisecond // of the stuck subscriber
	return func() (pubSub, error) { return memwatermill.NewPubSub(memstreamer.New(), config, nil) }
}

func channel(config gochannel.Config) func() (pubSub, error) {
	return func() (pubSub, error) { return gochannel.NewGoChannel(config, nil), nil }
}
