package coap

import "slices"

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
	peer Peer
	hash uint64 // of peer
	gone bool   // dropped: must not be used again
	// stream says that peer is one: its messages need neither ids nor ACKs.
	stream bool

	sent       []*transmission // confirmable messages awaiting their ACK
	pending    []*exchange     // our requests awaiting their response
	active     int             // of those, how many NSTART counts
	waiting    []*waiter       // requests that NSTART holds back
	handlers   int             // running for the peer
	delivering bool            // a worker has, or will have, the notifications
	news       []notification  // that have come and are not delivered
	bodies     []*body
	observers  []*observer // observations that the peer holds with us
	tags       []tagged    // our block-wise uploads
}

// maxSpareLinks bounds the links that are kept to be used again.
const maxSpareLinks = 256

// link returns the state of p, new if there is none.
func (e *Engine) link(p Peer) *link {
	l := e.links[p]
	if l != nil {
		return l
	}
	if last := len(e.spareLinks) - 1; last >= 0 {
		l, e.spareLinks = e.spareLinks[last], e.spareLinks[:last]
	} else {
		l = &link{}
	}
	l.peer, l.hash, l.stream = p, e.peerHash(p), isStream(p)
	e.links[p] = l
	return l
}

// quiet reports whether nothing is left in l.
func (l *link) quiet() bool {
	return l.active == 0 && l.handlers == 0 && !l.delivering &&
		len(l.sent)+len(l.pending)+len(l.waiting)+len(l.news)+len(l.bodies)+len(l.observers)+len(l.tags) == 0
}

// tidy drops l from the table if nothing is left in it: then nobody refers to it.
func (e *Engine) tidy(l *link) {
	if l.gone || l.peer == nil || !l.quiet() {
		return
	}
	delete(e.links, l.peer)
	l.peer = nil
	if len(e.spareLinks) < maxSpareLinks {
		e.spareLinks = append(e.spareLinks, l)
	} else {
		l.gone = true
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
	e.news -= len(l.news)
	l.waiting, l.observers, l.news, l.tags = nil, nil, nil, nil
}

// takeID returns the next message id of the shard of a peer's hash.
func (e *Engine) takeID(hash uint64) uint16 {
	id := &e.ids[hash%idShards]
	*id++
	return *id
}

// nextID returns a message id for l that none of its messages in flight has.
func (e *Engine) nextID(l *link) uint16 {
	for {
		if id := e.takeID(l.hash); l.sentBy(id) == nil {
			return id
		}
	}
}

// remove takes x out of list, order kept, its tail cleared. A list that is
// empty keeps a small storage for what comes next.
func remove[T comparable](list []T, x T) []T {
	const small = 4
	if i := slices.Index(list, x); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 && cap(list) > small {
		return nil
	}
	return list
}
