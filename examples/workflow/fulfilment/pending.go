package fulfilment

import "sync"

// pending is the set of events that may have been saved and are not acked.
type pending struct {
	mu    sync.Mutex
	saves map[eventKey]int // tries to save the event that have not failed for good
	empty chan struct{}    // closed while there is none
}

func newPending() *pending {
	p := &pending{saves: make(map[eventKey]int), empty: make(chan struct{})}
	close(p.empty)
	return p
}

// add has to come before a save, since the event may be acked as soon as it is
// saved.
func (p *pending) add(key eventKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.saves) == 0 {
		p.empty = make(chan struct{})
	}
	p.saves[key]++
}

// undo takes back one add. Another caller's add of the same event stays.
func (p *pending) undo(key eventKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saves[key] > 1 {
		p.saves[key]--
	} else {
		p.removeLocked(key)
	}
}

func (p *pending) has(key eventKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saves[key] > 0
}

func (p *pending) remove(key eventKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(key)
}

func (p *pending) removeLocked(key eventKey) {
	if p.saves[key] == 0 {
		return
	}
	if delete(p.saves, key); len(p.saves) == 0 {
		close(p.empty)
	}
}

// drained returns a channel that is closed once the set has been empty.
func (p *pending) drained() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.empty
}
