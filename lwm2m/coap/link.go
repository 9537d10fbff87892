package coap

import (
	"hash/maphash"
	"slices"
)

// Limits of one peer, so that none can use up what all share.
const (
	maxHandlersPerPeer  = 16   // handlers running
	maxSentPerPeer      = 64   // confirmable messages awaiting their ACK
	maxWaitingPerPeer   = 256  // requests queued by NSTART
	maxDedupPerPeer     = 2048 // messages remembered
	maxBodiesPerPeer    = 16   // bodies being reassembled or served
	maxObserversPerPeer = 512  // observations that the peer holds with us
)

// A link is the state of one peer. It exists only while a field beside the
// first four is in use.
type link struct {
	peer  Peer
	shard int  // index of its message-id counter
	gone  bool // dropped: must not be used again

	sent      []*transmission // confirmable messages awaiting their ACK
	pending   []*exchange     // our requests awaiting their response
	active    int             // of those, how many NSTART counts
	waiting   []*waiter       // requests that NSTART holds back
	handlers  int             // running for the peer
	remember  dedupList
	bodies    []*body
	observers []*observer    // observations that the peer holds with us
	watches   []*Observation // observations that we hold with the peer
	tags      []tagged       // our block-wise uploads
}

// link returns the state of p, new if there is none.
func (e *Engine) link(p Peer) *link {
	l := e.links[p]
	if l == nil {
		l = &link{peer: p, shard: int(maphash.Comparable(e.seed, p) % idShards)}
		e.links[p] = l
	}
	return l
}

// tidy drops l from the table if nothing is left in it.
func (e *Engine) tidy(l *link) {
	if !l.gone && l.active == 0 && l.handlers == 0 && l.remember.count == 0 &&
		len(l.sent)+len(l.pending)+len(l.waiting)+len(l.bodies)+len(l.observers)+len(l.watches)+len(l.tags) == 0 {
		l.gone = true
		delete(e.links, l.peer)
	}
}

// drop ends all of l by ErrClosed and takes it off the table.
func (e *Engine) drop(l *link) {
	l.gone = true
	delete(e.links, l.peer)
	for len(l.sent) > 0 {
		e.finish(l.sent[0], ErrClosed)
	}
	for len(l.pending) > 0 {
		e.conclude(l.pending[0], outcome{err: ErrClosed})
	}
	for _, w := range l.waiting {
		w.ready <- ErrClosed
	}
	for len(l.bodies) > 0 {
		e.discard(l.bodies[0])
	}
	for l.remember.first != nil {
		e.forget(l.remember.first)
	}
	for _, o := range l.watches {
		o.forgotten, o.queue = true, nil
	}
	l.waiting, l.observers, l.watches, l.tags = nil, nil, nil, nil
}

// nextID returns a message id for l that none of its messages in flight has.
func (e *Engine) nextID(l *link) uint16 {
	for {
		e.ids[l.shard]++
		id := e.ids[l.shard]
		if !slices.ContainsFunc(l.sent, func(t *transmission) bool { return t.id == id }) {
			return id
		}
	}
}

// remove returns list without x, order kept, its tail cleared.
func remove[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		return nil
	}
	return list
}
