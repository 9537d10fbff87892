package coap

import "fmt"

// State counts what the engine holds, for tests of its bounds.
type State struct {
	Links, Timers, Dedup, Bodies, BodyBytes, Handlers, Workers int
}

// State returns the present counts.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return State{len(e.links), len(e.timers), len(e.dedup.table), e.store.count, e.store.bytes, e.handlers, len(e.workers.parked)}
}

// Check verifies that the lists agree with each other.
func (e *Engine) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, replies := 0, 0
	for r := e.dedup.oldest; r != nil; r = r.newer {
		n++
		replies += len(r.reply)
	}
	if replies != e.dedup.bytes {
		return fmt.Errorf("dedup: %d bytes, %d counted", replies, e.dedup.bytes)
	}
	perPeer, bodies, size := 0, 0, 0
	for _, l := range e.links {
		perPeer += l.remember.count
		bodies += len(l.bodies)
		for _, o := range l.bodies {
			size += len(o.data)
		}
	}
	if n != len(e.dedup.table) || n != perPeer {
		return fmt.Errorf("dedup: %d chained, %d in the table, %d of peers", n, len(e.dedup.table), perPeer)
	}
	chained := 0
	for o := e.store.oldest; o != nil; o = o.newer {
		chained++
	}
	if bodies != e.store.count || bodies != chained || size != e.store.bytes {
		return fmt.Errorf("bodies: %d of peers, %d chained, %d counted; %d of %d bytes",
			bodies, chained, e.store.count, size, e.store.bytes)
	}
	return nil
}
