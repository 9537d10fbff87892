package coap

import "time"

// dedupKey names a message received.
type dedupKey struct {
	link *link
	id   uint16
}

// A received is a message that a duplicate must not repeat (RFC 7252 §4.5).
type received struct {
	key     dedupKey
	reply   []byte // what a duplicate is answered; nil: nothing (yet)
	expires time.Time
	gone    bool

	older, newer         *received // among all
	peerOlder, peerNewer *received // among those of the peer
}

// dedup remembers the messages of all peers, oldest first. They all live
// equally long, so that order is also the order of expiry.
type dedup struct {
	table  map[dedupKey]*received
	oldest *received
	newest *received
	timer  timer // runs while there is an oldest
	bytes  int   // of all replies
}

// maxDedupBytes bounds the replies that are kept for duplicates: blocks of
// 1 KiB weigh more than what MaxDedup has in mind.
const maxDedupBytes = 32 << 20

// A dedupList is the part of one peer, oldest first.
type dedupList struct {
	first, last *received
	count       int
}

// recall returns what is known of a message that l has just received, and
// whether it is a duplicate. When a limit is met the oldest is forgotten.
func (e *Engine) recall(l *link, id uint16) (r *received, duplicate bool) {
	key := dedupKey{l, id}
	if r := e.dedup.table[key]; r != nil {
		return r, true
	}
	if l.remember.count >= maxDedupPerPeer {
		e.forget(l.remember.first)
	}
	for len(e.dedup.table) > 0 && (len(e.dedup.table) >= e.o.MaxDedup || e.dedup.bytes > maxDedupBytes) {
		oldest := e.dedup.oldest
		e.forget(oldest)
		if oldest.key.link != l {
			e.tidy(oldest.key.link)
		}
	}
	r = &received{key: key, expires: time.Now().Add(e.o.Params.ExchangeLifetime)}
	e.dedup.table[key] = r
	r.older, e.dedup.newest = e.dedup.newest, r
	if r.older != nil {
		r.older.newer = r
	} else {
		e.dedup.oldest = r
		e.start(&e.dedup.timer, e.o.Params.ExchangeLifetime)
	}
	r.peerOlder, l.remember.last = l.remember.last, r
	if r.peerOlder != nil {
		r.peerOlder.peerNewer = r
	} else {
		l.remember.first = r
	}
	l.remember.count++
	return r, false
}

// keepReply notes what a duplicate of r is answered from now on.
func (e *Engine) keepReply(r *received, reply []byte) {
	if !r.gone {
		e.dedup.bytes += len(reply) - len(r.reply)
	}
	r.reply = reply
}

// forget drops r; the link may be left without content.
func (e *Engine) forget(r *received) {
	if r.gone {
		return
	}
	r.gone = true
	e.dedup.bytes -= len(r.reply)
	delete(e.dedup.table, r.key)
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		e.dedup.oldest = r.newer
	}
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		e.dedup.newest = r.older
	}
	l := &r.key.link.remember
	if r.peerOlder != nil {
		r.peerOlder.peerNewer = r.peerNewer
	} else {
		l.first = r.peerNewer
	}
	if r.peerNewer != nil {
		r.peerNewer.peerOlder = r.peerOlder
	} else {
		l.last = r.peerOlder
	}
	l.count--
	r.older, r.newer, r.peerOlder, r.peerNewer = nil, nil, nil, nil
}

// expireDedup forgets what is too old and sets the timer to the next.
func (e *Engine) expireDedup() {
	now := time.Now()
	for e.dedup.oldest != nil && !e.dedup.oldest.expires.After(now) {
		r := e.dedup.oldest
		e.forget(r)
		e.tidy(r.key.link)
	}
	if e.dedup.oldest != nil {
		e.start(&e.dedup.timer, e.dedup.oldest.expires.Sub(now))
	}
}
