package streamertest

import (
	"context"
	"errors"
	"maps"
	"strings"
	"unicode"

	"github.com/memstreamer/memstreamer"
)

// topicFaults break the contract's sixth line, the topic of an event, and mix up
// names.
var topicFaults = []fault{
	{
		"TopicHeader", "ignores the header", `event "last", not event "by its header"`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			e.Headers = maps.Clone(e.Headers)
			delete(e.Headers, memstreamer.HeaderTopic)
			return s.Pass(ctx, e)
		}},
	},
	{
		"TopicHeader", "sends to the header's topic and to the sender's", `event "by its header", not event "by its sender"`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			return errors.Join(s.EventSender.Send(ctx, e.ForeignID, e.Type, nil), s.Pass(ctx, e))
		}},
	},
	{
		"TopicHeader", "takes an empty header for a topic", `event "by both", not event "empty header"`,
		hooks{Send: func(ctx context.Context, s *sender, e outgoing) error {
			if topic, present := e.Headers[memstreamer.HeaderTopic]; present && topic == "" {
				return nil
			}
			return s.Pass(ctx, e)
		}},
	},
	{
		"TopicHeaderWakes", "wakes the receivers of the sender's topic", "has not returned",
		parking(func(ctx context.Context, r *receiver) (*event, ackFunc, error) {
			e, ack, err := r.EventReceiver.Recv(ctx)
			if err == nil && e.Headers[memstreamer.HeaderTopic] != "" {
				<-ctx.Done()
				return nil, nil, ctx.Err()
			}
			return e, ack, err
		}),
	},
	{"AwkwardNames", "makes topics plain", "not event", named(plain, same)},
	{"AwkwardNames", "makes names of receivers plain", "has not returned", named(same, plain)},
	{"AwkwardNames", "ignores case", "not event", named(strings.ToLower, same)},
	{"AwkwardNames", "trims spaces from topics", "not event", named(strings.TrimSpace, same)},
	{"AwkwardNames", "trims spaces from names of receivers", "has not returned", named(same, strings.TrimSpace)},
	{"AwkwardNames", "ends topics at a NUL", "not event", named(untilNUL, same)},
	{"AwkwardNames", "takes composed letters for decomposed ones", "not event", named(composed, same)},
	{"AwkwardNames", "cuts names of receivers at 255 bytes", "has not returned", named(same, short)},
	{
		"AwkwardNames", "refuses wildcards", errFault.Error(),
		hooks{NewSender: func(ctx context.Context, s *streamer, topic string) (memstreamer.EventSender, error) {
			if strings.ContainsAny(topic, "*>") {
				return nil, errFault
			}
			return s.OpenSender(ctx, topic)
		}},
	},
}

func plain(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return c
		}
		return '_'
	}, name)
}

func untilNUL(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	return name
}

func composed(name string) string { return strings.ReplaceAll(name, "o\u0308", "ö") }

func short(name string) string { return name[:min(len(name), 255)] }
