package coap

import (
	"hash/maphash"
	"time"
)

// dedup remembers the messages of all peers that a duplicate must not repeat
// (RFC 7252 §4.5).
type dedup struct {
	life  moment // how long a message is remembered
	main  memory
	crowd memory // of peers that have their share of main
	timer timer  // runs while something is remembered
}

// maxDedupBytes bounds the replies that are kept for duplicates: blocks of
// 1 KiB weigh more than what MaxDedup has in mind.
const maxDedupBytes = 16 << 20

// crowdPart is the part of all places that peers beyond their share have, so
// that one that talks too much pushes out what itself said and not the others.
const crowdPart = 16

func (d *dedup) init(o *Options) {
	d.life = moment(o.Params.ExchangeLifetime)
	crowd := o.MaxDedup / crowdPart
	d.crowd.limits(crowd, maxDedupBytes/crowdPart)
	d.main.limits(o.MaxDedup-crowd, maxDedupBytes-maxDedupBytes/crowdPart)
}

// A mark is a remembered message's place, which may be lost to others.
type mark struct {
	in  *memory
	pos uint64
}

// peerHash stands for p where no pointer to it shall be kept. It never changes.
func (e *Engine) peerHash(p Peer) uint64 { return maphash.Comparable(e.seed, p) }

// recognise reports whether a message received at now is a duplicate, and
// appends what that is answered to dst; nil: nothing, or nothing yet.
func (e *Engine) recognise(dst []byte, peer uint64, id uint16, now moment) (reply []byte, duplicate bool) {
	d := &e.dedup
	d.expire(now)
	for _, m := range [2]*memory{&d.main, &d.crowd} {
		if pos, ok := m.find(peer, id); ok {
			if reply, ok = m.answer(dst, pos); ok {
				e.stats.Duplicates++
				return reply, true
			}
		}
	}
	return nil, false
}

// remember notes a message that is no duplicate. If there is no place, the
// oldest is forgotten for it.
func (e *Engine) remember(peer uint64, id uint16, now moment) mark {
	d := &e.dedup
	m := &d.main
	if d.crowd.limit > 0 && m.of(peer) >= maxDedupPerPeer {
		m = &d.crowd
	}
	pos := m.add(slot{peer: peer, id: id, at: now})
	if d.timer.index == 0 {
		e.start(&d.timer, d, time.Duration(d.life))
	}
	return mark{m, pos}
}

// keepReply notes what a duplicate is answered from now on.
func (e *Engine) keepReply(at mark, reply []byte) {
	if s := at.in.slot(at.pos); s != nil {
		at.in.keep(s, reply)
	}
}

// forgetPeer drops what is remembered of a peer that is gone, for another may
// come to stand where it stood.
func (d *dedup) forgetPeer(peer uint64) {
	d.main.forget(peer)
	d.crowd.forget(peer)
}

// expire drops what is too old.
func (d *dedup) expire(now moment) {
	d.main.expire(now - d.life)
	d.crowd.expire(now - d.life)
}

// expiryPause is the least time between two expiries, which only free memory.
const expiryPause = moment(time.Second)

// wake implements sleeper.
func (d *dedup) wake(e *Engine, _ *batch) {
	now := e.now()
	d.expire(now)
	next := min(d.main.oldest(now), d.crowd.oldest(now)) + d.life
	if d.busy() {
		e.start(&d.timer, d, time.Duration(max(next-now, expiryPause)))
	}
}

// busy reports whether anything is remembered.
func (d *dedup) busy() bool { return d.main.live+d.crowd.live > 0 }
