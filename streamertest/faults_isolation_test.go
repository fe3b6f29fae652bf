package streamertest

import (
	"context"
	"maps"
	"net/textproto"
	"strings"

	"github.com/memstreamer/memstreamer"
)

// kept changes each header that Recv returns, which is left out where keep says
// so.
func kept(keep func(name, value string) (string, string, bool)) hooks {
	return edited(func(_ *receiver, e *event) {
		changed := maps.Clone(e.Headers)
		clear(changed)
		for name, value := range e.Headers {
			if name, value, ok := keep(string(name), value); ok {
				changed[memstreamer.Header(name)] = value
			}
		}
		e.Headers = changed
	})
}

// isolationFaults break the contract's seventh line, isolation.
var isolationFaults = []fault{
	{
		"IsolationOfSentHeaders", "keeps the map that Send was given", "of an event is",
		hooks{
			Send: func(ctx context.Context, s *sender, e outgoing) error {
				s.Streamer.Memory.Store(e.ForeignID, e.Headers)
				return s.Pass(ctx, e)
			},
			Recv: edited(func(r *receiver, e *event) {
				h, _ := r.Streamer.Memory.Load(e.ForeignID)
				e.Headers = maps.Clone(h.(headers))
			}).Recv,
		},
	},
	{
		"IsolationOfReceivedEvents", "gives all receivers one map", "of an event is",
		edited(func(r *receiver, e *event) {
			one, _ := r.Streamer.Memory.LoadOrStore(e.ID, e.Headers)
			e.Headers = one.(headers)
		}),
	},
	{
		"IsolationOfReceivedEvents", "gives a receiver one map again", "of an event is",
		edited(func(r *receiver, e *event) {
			one, _ := r.Memory.LoadOrStore(e.ID, e.Headers)
			e.Headers = one.(headers)
		}),
	},
	{
		"HeadersKept", "makes nil an empty map", "not 0 (nil: true)",
		edited(func(_ *receiver, e *event) {
			if e.Headers == nil {
				e.Headers = make(headers)
			}
		}),
	},
	{
		"HeadersKept", "makes an empty map nil", "not 0 (nil: false)",
		edited(func(_ *receiver, e *event) {
			if len(e.Headers) == 0 {
				e.Headers = nil
			}
		}),
	},
	{
		"HeadersKept", "leaves out empty values", `header "run_id" of an event is "" (present: false)`,
		kept(func(name, value string) (string, string, bool) { return name, value, value != "" }),
	},
	{
		"HeadersKept", "leaves out the empty name", `header "" of an event`,
		kept(func(name, value string) (string, string, bool) { return name, value, name != "" }),
	},
	{
		"HeadersKept", "writes names as HTTP does", `header "run_id" of an event is "" (present: false)`,
		kept(func(name, value string) (string, string, bool) {
			return textproto.CanonicalMIMEHeaderKey(name), value, true
		}),
	},
	{
		"HeadersKept", "folds lines", `not "line\r\nbreak`,
		kept(func(name, value string) (string, string, bool) {
			return name, strings.ReplaceAll(value, "\r\n", " "), true
		}),
	},
	{
		"HeadersKept", "trims values", "of an event is",
		kept(func(name, value string) (string, string, bool) { return name, strings.TrimSpace(value), true }),
	},
	{
		"HeadersKept", "ends values at 8 KB", `header "large" of an event`,
		kept(func(name, value string) (string, string, bool) { return name, value[:min(len(value), 8<<10)], true }),
	},
	{
		"HeadersKept", "keeps a hundred headers", "has 100 headers",
		edited(func(_ *receiver, e *event) {
			for name := range e.Headers {
				if len(e.Headers) <= 100 {
					break
				}
				delete(e.Headers, name)
			}
		}),
	},
}
