package reference

import (
	"maps"
	"net/textproto"
	"strings"
	"time"

	"github.com/memstreamer/memstreamer"
)

// altered returns what a fault delivers in place of e.
func (r *receiver) altered(e *memstreamer.Event) *memstreamer.Event {
	type again struct {
		*receiver
		id int64
	}
	switch r.Does {
	case Slow:
		time.Sleep(Latency)
	case "swaps the IDs of neighbours":
		e.ID ^= 1
	case "counts by two":
		e.ID *= 2
	case "counts each topic for itself":
		e.ID = (e.ID + 1) / 2
	case "delivers an event under two IDs":
		if r.name == "a" {
			e.ID *= 2
		}
	case "keeps 16 bits of the type":
		e.Type = int(int16(e.Type))
	case "ends the foreign ID at a NUL":
		e.ForeignID, _, _ = strings.Cut(e.ForeignID, "\x00")
	case "stamps no time":
		e.CreatedAt = time.Time{}
	case "returns CreatedAt in UTC":
		e.CreatedAt = e.CreatedAt.UTC()
	case "stamps the time of the delivery":
		e.CreatedAt = e.CreatedAt.Add(time.Duration(r.turn()))
	case "delivers one *Event again":
		first, _ := r.notes.LoadOrStore(again{r, e.ID}, e)
		return first.(*memstreamer.Event)
	case "gives all receivers one map":
		one, _ := r.notes.LoadOrStore(e.ID, e.Headers)
		e.Headers = one.(headers)
	case "gives a receiver one map again":
		one, _ := r.notes.LoadOrStore(again{r, e.ID}, e.Headers)
		e.Headers = one.(headers)
	case "delivers the headers of another event now and then":
		last, known := r.notes.Swap("last", maps.Clone(e.Headers))
		if known && r.turn()%50 == 0 {
			e.Headers = maps.Clone(last.(headers))
		}
	case "makes nil an empty map":
		if e.Headers == nil {
			e.Headers = headers{}
		}
	case "makes an empty map nil":
		if len(e.Headers) == 0 {
			e.Headers = nil
		}
	case "leaves out empty values":
		maps.DeleteFunc(e.Headers, func(_ memstreamer.Header, value string) bool { return value == "" })
	case "leaves out the empty name":
		delete(e.Headers, "")
	case "writes names as HTTP does":
		for name, value := range maps.Clone(e.Headers) {
			delete(e.Headers, name)
			e.Headers[memstreamer.Header(textproto.CanonicalMIMEHeaderKey(string(name)))] = value
		}
	case "folds lines":
		each(e.Headers, func(value string) string { return strings.ReplaceAll(value, "\r\n", " ") })
	case "trims values":
		each(e.Headers, strings.TrimSpace)
	case "ends values at 8 KB":
		each(e.Headers, func(value string) string { return value[:min(len(value), 8<<10)] })
	case "keeps a hundred headers":
		for name := range e.Headers {
			if len(e.Headers) > 100 {
				delete(e.Headers, name)
			}
		}
	}
	return e
}

type headers = map[memstreamer.Header]string

// each changes each value of h.
func each(h headers, change func(value string) string) {
	for name, value := range h {
		h[name] = change(value)
	}
}
