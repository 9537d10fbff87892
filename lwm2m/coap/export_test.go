package coap

import (
	"errors"
	"fmt"
)

// State counts what the engine holds, for tests of its bounds.
type State struct {
	Links, Timers, Dedup, Bodies, BodyBytes, Handlers, Workers, Watches, Observers, News int
}

// State returns the present counts.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := State{
		Links: len(e.links), Timers: len(e.timers), Dedup: e.dedup.main.live + e.dedup.crowd.live,
		Bodies: e.store.count, BodyBytes: e.store.bytes, Handlers: e.workers.busy, Workers: len(e.workers.parked),
		Watches: e.watches.count,
	}
	for _, l := range e.links {
		s.Observers += len(l.observers)
		s.News += len(l.news)
	}
	return s
}

// check verifies that counts, chains and chunks agree.
func (m *memory) check() error {
	live, perPeer := 0, 0
	for pos := m.first; pos < m.next; pos++ {
		if s := m.slot(pos); s != nil {
			live++
			if at, ok := m.find(s.peer, s.id); !ok || at != pos {
				return fmt.Errorf("dedup: position %d found at %d, %v", pos, at, ok)
			}
		}
	}
	for _, c := range m.peers {
		perPeer += int(c.count)
	}
	if live != m.live || live != perPeer || live > m.limit {
		return fmt.Errorf("dedup: %d live, %d counted, %d of peers, limit %d", live, m.live, perPeer, m.limit)
	}
	size := 0
	for _, c := range m.replies.chunks {
		size += len(c.data)
	}
	if size != m.replies.bytes {
		return fmt.Errorf("dedup: %d bytes, %d counted", size, m.replies.bytes)
	}
	return nil
}

// Check verifies that the lists agree with each other.
func (e *Engine) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := errors.Join(e.dedup.main.check(), e.dedup.crowd.check()); err != nil {
		return err
	}
	for i, d := range e.timers {
		if int(d.t.index) != i+1 || d.at < e.timers[max(i-1, 0)/2].at {
			return fmt.Errorf("timers: out of order at %d", i)
		}
	}
	bodies, size := 0, 0
	for _, l := range e.links {
		bodies += len(l.bodies)
		for _, o := range l.bodies {
			size += len(o.data)
		}
	}
	news := 0
	for _, l := range e.links {
		news += len(l.news)
	}
	if news != e.news {
		return fmt.Errorf("news: %d of peers, %d counted", news, e.news)
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
