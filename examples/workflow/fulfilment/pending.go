package fulfilment

import "sync"

// pending is the set of events that are on their way: saved, and not acked. It
// can be waited for to be empty.
type pending struct {
	mu     sync.Mutex
	events map[eventKey]struct{}
	empty  chan struct{} // closed while events is empty
}

// eventKey tells the event of a run's record in one version from all others.
type eventKey struct {
	runID   string
	version int
}

func newPending() *pending {
	p := &pending{events: make(map[eventKey]struct{}), empty: make(chan struct{})}
	close(p.empty)
	return p
}

// add tells whether the event was not in the set before.
func (p *pending) add(key eventKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.events[key]; ok {
		return false
	}
	if len(p.events) == 0 {
		p.empty = make(chan struct{})
	}
	p.events[key] = struct{}{}
	return true
}

func (p *pending) has(key eventKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.events[key]
	return ok
}

// remove does nothing where the event is not in the set.
func (p *pending) remove(key eventKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.events[key]; !ok {
		return
	}
	delete(p.events, key)
	if len(p.events) == 0 {
		close(p.empty)
	}
}

// drained returns a channel that is closed once the set has been empty.
func (p *pending) drained() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.empty
}
