package memstreamer

import (
	"iter"
	"sync"
)

// registry finds topics, or cursors, by name. It is a sync.Map, though mu guards it,
// because that frees deleted entries: a Go map keeps room for as many as it ever had.
type registry[V any] struct {
	entries sync.Map
	len     int
}

// get returns the zero V if there is no entry.
func (r *registry[V]) get(name string) V {
	entry, _ := r.entries.Load(name)
	v, _ := entry.(V)
	return v
}

// put adds an entry of a new name.
func (r *registry[V]) put(name string, v V) {
	r.entries.Store(name, v)
	r.len++
}

// delete removes an entry that is there.
func (r *registry[V]) delete(name string) {
	r.entries.Delete(name)
	r.len--
}

// all yields the values in no order.
func (r *registry[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		r.entries.Range(func(_, v any) bool { return yield(v.(V)) })
	}
}
