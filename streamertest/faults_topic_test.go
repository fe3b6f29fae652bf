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
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			h = maps.Clone(h)
			delete(h, memstreamer.HeaderTopic)
			return s.EventSender.Send(ctx, foreignID, statusType, h)
		}},
	},
	{
		"TopicHeader", "sends to the header's topic and to the sender's", `event "by its header", not event "by its sender"`,
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			return errors.Join(s.EventSender.Send(ctx, foreignID, statusType, nil), s.EventSender.Send(ctx, foreignID, statusType, h))
		}},
	},
	{
		"TopicHeader", "takes an empty header for a topic", `event "by both", not event "empty header"`,
		hooks{send: func(s *wrappedSender, ctx context.Context, foreignID string, statusType int, h headers) error {
			if topic, present := h[memstreamer.HeaderTopic]; present && topic == "" {
				return nil
			}
			return s.EventSender.Send(ctx, foreignID, statusType, h)
		}},
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
		hooks{newSender: func(s *wrapped, ctx context.Context, topic string) (memstreamer.EventSender, error) {
			if strings.ContainsAny(topic, "*>") {
				return nil, errFault
			}
			return s.sender(ctx, topic)
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
