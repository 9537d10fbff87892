package transport

import (
	"crypto/rand"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/dtls"
)

type cid = [dtls.CIDLength]byte

// slotBits is how much of a connection identifier is the number of the slot; the
// next generationBits are of its generation, the rest is random.
const (
	slotBits       = 24
	generationBits = 16
	maxSlots       = 1 << slotBits
)

// A ref names an association: the slot of its row, and which of those that had
// the slot it is.
type ref struct{ slot, generation uint32 }

// A seat is a row that was reserved for a handshake under way.
type seat struct {
	ref
	cid cid
}

// table is the slab of the associations and what finds them. Of one with an
// identifier the identifier says the slot; it is in byAddr too, as long as
// nobody else is there, where only the beginning of a new handshake and repeated
// handshake records look for it. One without is found by its address alone.
//
// Locks are taken in this order: the table's, a row's, that of names.
type table struct {
	drops   atomic.Uint64 // number of Drop calls begun
	limit   int
	stamped bool      // chunks have stamps
	began   time.Time // of which the rows' times count
	seed    maphash.Seed
	chunks  atomic.Pointer[[]chunk] // grows, and is never changed otherwise
	names   names

	mu                  sync.RWMutex
	high                uint32 // slots that were ever used
	freeFirst, freeLast uint32 // list of free slots, slot+1
	live                int
	byAddr              index
	// restored finds associations of an earlier run of the program by the name of
	// their peer.
	restored index
	wheel    wheel
}

func (t *table) init(limit int, w wheel) {
	t.limit = min(limit, maxSlots)
	t.began = time.Now()
	t.seed = maphash.MakeSeed()
	t.chunks.Store(&[]chunk{})
	t.wheel = w
}

func (t *table) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.live
}

func (t *table) full() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.live >= t.limit
}

// row returns the row of a slot, nil if there never was one.
func (t *table) row(slot uint32) *row {
	chunks := *t.chunks.Load()
	if n := int(slot / chunkRows); n < len(chunks) && chunks[n].rows != nil {
		return &chunks[n].rows[slot%chunkRows]
	}
	return nil
}

// peer returns the place of the peer of a slot that has a row.
func (t *table) peer(slot uint32) **peer {
	return &(*t.chunks.Load())[slot/chunkRows].peers[slot%chunkRows]
}

// stamp returns the place of the stamp of a slot that has a row, nil if there are
// none.
func (t *table) stamp(slot uint32) *int64 {
	if stamps := (*t.chunks.Load())[slot/chunkRows].stamps; stamps != nil {
		return &stamps[slot%chunkRows]
	}
	return nil
}

// grow makes the row of a slot, which is beyond all others, or of a run of the
// program that went before. The caller holds mu.
func (t *table) grow(slot uint32) *row {
	chunks := *t.chunks.Load()
	for n := slot / chunkRows; uint32(len(chunks)) <= n; { //nolint:gosec // G115: a small number
		chunks = append(chunks, chunk{})
	}
	if c := &chunks[slot/chunkRows]; c.rows == nil {
		*c = chunk{rows: new([chunkRows]row), peers: new([chunkRows]*peer)}
		if t.stamped {
			c.stamps = new([chunkRows]int64)
		}
		var first [4]byte
		_, _ = rand.Read(first[:]) // never fails
		for i := range c.rows {    // no chunk begins as another run's did
			c.rows[i].generation = binary.BigEndian.Uint32(first[:])
		}
	}
	t.chunks.Store(&chunks)
	t.high = max(t.high, slot+1)
	return t.row(slot)
}

// highest returns one more than the highest slot that was ever used.
func (t *table) highest() uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.high
}

// all yields the associations that live. What begins or ends meanwhile may or
// may not be among them.
func (t *table) all() iter.Seq[ref] {
	return func(yield func(ref) bool) {
		for slot := range t.highest() {
			r := t.row(slot)
			if r == nil {
				continue
			}
			r.mu.Lock()
			f, lives := ref{slot, r.generation}, r.state == live
			r.mu.Unlock()
			if lives && !yield(f) {
				return
			}
		}
	}
}

// reserve gives out a slot and the identifier of the association that is to have
// it, ErrNoRoom if there is none; how many associations are too many is for occupy
// to say. The slot that was free for the longest time is next, and its identifier
// differs from the last 65,534 that it had.
func (t *table) reserve() (seat, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.freeFirst == 0 && t.high == maxSlots {
		return seat{}, ErrNoRoom
	}
	slot := t.takeFree()
	r := t.row(slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation, r.state = nextGeneration(r.generation), reserved
	s := seat{ref: ref{slot, r.generation}}
	_, _ = rand.Read(s.cid[(slotBits+generationBits)/8:])                    // never fails
	s.cid[0], s.cid[1], s.cid[2] = byte(slot>>16), byte(slot>>8), byte(slot) //nolint:gosec // G115: its 24 bits
	binary.BigEndian.PutUint16(s.cid[slotBits/8:], uint16(r.generation))     //nolint:gosec // G115: its last bits
	return s, nil
}

// takeFree returns a free slot. The caller holds mu and has seen that there is one.
func (t *table) takeFree() uint32 {
	if t.freeFirst == 0 {
		slot := t.high
		t.grow(slot)
		return slot
	}
	slot := t.freeFirst - 1
	r := t.row(slot)
	if t.freeFirst, r.nextFree = r.nextFree, 0; t.freeFirst == 0 {
		t.freeLast = 0
	}
	return slot
}

// giveFree makes a slot the last of the free ones. The caller holds mu.
func (t *table) giveFree(slot uint32) {
	if t.freeLast == 0 {
		t.freeFirst = slot + 1
	} else {
		t.row(t.freeLast - 1).nextFree = slot + 1
	}
	t.freeLast = slot + 1
}

// release gives back a seat that came to nothing. One that has become an
// association, or was released, stays as it is.
func (t *table) release(s seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.row(s.slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != reserved || r.generation != s.generation {
		return
	}
	r.state = free
	t.giveFree(s.slot)
}

// slotOf is the slot that an identifier names.
func slotOf(id cid) uint32 { return uint32(id[0])<<16 | uint32(id[1])<<8 | uint32(id[2]) }

// withCID finds an association by its identifier.
func (t *table) withCID(id cid) (ref, bool) {
	r := t.row(slotOf(id))
	if r == nil {
		return ref{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != live || !r.is(hasCID) {
		return ref{}, false
	}
	mine, _ := r.session.CID()
	return ref{slotOf(id), r.generation}, mine == id
}

// at finds the association at an address, and says whether it has an identifier.
func (t *table) at(a address) (f ref, identifier, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	slot, ok := t.atAddr(a)
	if !ok {
		return ref{}, false, false
	}
	r := t.row(slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	return ref{slot, r.generation}, r.is(hasCID), r.state == live
}

// atAddr looks an address up. The caller holds mu.
func (t *table) atAddr(a address) (uint32, bool) {
	return t.byAddr.find(maphash.Comparable(t.seed, a), func(slot uint32) bool { return t.row(slot).addr == a })
}

func (t *table) addrHash(slot uint32) uint64 { return maphash.Comparable(t.seed, t.row(slot).addr) }
