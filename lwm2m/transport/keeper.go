package transport

import (
	"fmt"
	"iter"
	"sync"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/journal"
)

// KeepOptions let the associations of a listener survive the program: after it
// was stopped or killed the next Listen has them, and devices go on without a
// handshake. Those of factory certificates are not kept, they live for minutes.
//
// No nonce is used twice and no record is taken twice. After a stop both
// counters go on exactly. While the program runs, it reserves sequence numbers
// for reservedRecords ahead and notes the highest number received, both in
// memory that the death of the process leaves alone: after a kill, sending goes
// on above the reservation, and whatever is not above the highest number
// received is refused, so that a captured request is not executed again. After
// a crash of the host nothing is restored.
type KeepOptions struct {
	// Dir is the directory of what is kept, of nothing else; "" keeps nothing.
	// Copies of it must not be used: a copy does not know what has happened since.
	Dir string
	// Rejudge says whether the peer of a restored association may still have it; an
	// error ends it, with close_notify. It is asked once before the association is
	// first used, and in any case soon after Run has begun; from several goroutines
	// at once. Required with Dir.
	Rejudge func(coap.Identity) error
	// Woke is told of the first record that a restored association receives, before
	// it is handled. It must not block; nil tells nobody.
	Woke func(coap.Peer)
}

func (o *KeepOptions) check(secure bool) error {
	if o.Woke == nil {
		o.Woke = func(coap.Peer) {}
	}
	if o.Dir != "" && (!secure || o.Rejudge == nil) {
		return fmt.Errorf("%w: keeping associations takes credentials and Rejudge", ErrOptions)
	}
	return nil
}

// batchSize is about how much of a snapshot goes into one frame, in bytes.
const batchSize = 64 << 10

// id names an association in the journal. It is never 0, and unique among those
// of one run of the program.
func (f ref) id() uint64 { return uint64(f.slot)<<32 | uint64(f.generation) }

func refOf(id uint64) ref { return ref{uint32(id >> 32), uint32(id)} } //nolint:gosec // G115: its halves

// A keeper writes the journal of a listener's associations. An association that
// is marked as kept has a cell as long as it lives: what is stored there takes
// the lock of its row, and no other.
type keeper struct {
	mu      sync.Mutex
	journal *journal.Journal // nil: nothing is kept
}

// cell returns the cell of a slot whose association is kept. The caller holds the
// row's lock.
func (k *keeper) cell(f ref) cell {
	c, _ := k.journal.Cell(f.slot) // was there when the association was marked
	return cell{c}
}

// seal is Session.Seal with a number that is reserved. The caller holds the row's lock.
func (l *Listener) seal(f ref, r *row, dst []byte, t dtls.ContentType, plaintext []byte) ([]byte, error) {
	if r.is(kept) {
		if c := l.keeper.cell(f); r.session.Next() >= c.limit() {
			c.reserve(f, r.session.Next())
		}
	}
	return r.session.Seal(dst, t, plaintext)
}

// received notes the highest number received. The caller holds the row's lock.
func (k *keeper) received(f ref, r *row) { k.cell(f).expect(f, r.session.Expected()) }

// ended notes that a kept association is no more. The caller holds the row's lock.
func (k *keeper) ended(f ref) { k.cell(f).clear() }

// add enters a new association in the journal, if it is of a kind that is kept.
func (k *keeper) add(l *Listener, f ref, role coap.Role) error {
	if !keptRole(role) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.journal == nil {
		return nil
	}
	r := l.table.row(f.slot)
	if err := k.assign(f, r); err != nil {
		return err
	}
	entry := l.appendState(nil, f.slot)
	if len(entry) == 0 { // it ended meanwhile
		return nil
	}
	err := k.journal.Append(entry)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.alive(f.generation) {
			k.ended(f)
			r.marks &^= kept
		}
	}
	return err
}

// assign gives an association its cell, if it lives. The caller holds mu.
func (k *keeper) assign(f ref, r *row) error {
	own, err := k.journal.Cell(f.slot)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.alive(f.generation) {
		return nil
	}
	r.marks |= kept
	beginCell(own.Store, f, r.session.Next(), r.session.Expected())
	return nil
}

// moved notes the address of an association. If that fails, only its peer can
// speak first after a kill.
func (k *keeper) moved(f ref, to address) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.journal != nil {
		_ = k.journal.Append(appendMoved(nil, f, to))
	}
}

// Restored returns the association of an earlier run of the program whose peer
// is called name, if it lives.
func (l *Listener) Restored(name string) (coap.Peer, bool) {
	f, ok := l.table.byName(name)
	if !ok {
		return nil, false
	}
	p := l.livePeer(f)
	return p, p != nil
}

// compact rewrites the journal if it has grown.
func (l *Listener) compact() error {
	k := &l.keeper
	k.mu.Lock()
	j := k.journal
	k.mu.Unlock()
	if j == nil || !j.Grown() {
		return nil
	}
	return j.Rewrite(l.snapshot(&k.mu, l.appendState))
}

// keep leaves the kept associations to the next run of the program. They are
// over in this one, without a word to their peers.
func (l *Listener) keep() error {
	return l.leave((*journal.Journal).Close)
}

// abandon leaves things as the death of the process would.
func (l *Listener) abandon() error {
	return l.leave(func(j *journal.Journal, frames iter.Seq[[]byte]) error {
		for range frames { // ends the associations, whose cells are about to go
		}
		return j.Abandon()
	})
}

func (l *Listener) leave(end func(*journal.Journal, iter.Seq[[]byte]) error) error {
	k := &l.keeper
	k.mu.Lock()
	if k.journal == nil {
		k.mu.Unlock()
		return nil
	}
	type leaver struct {
		ref
		peer *peer
	}
	var leavers []leaver
	frames := l.snapshot(unlocked{}, func(dst []byte, slot uint32) []byte {
		r := l.table.row(slot)
		r.mu.Lock()
		defer r.mu.Unlock()
		f := ref{slot, r.generation}
		n := len(dst)
		if dst = l.appendRow(dst, f, r); len(dst) > n {
			leavers = append(leavers, leaver{f, l.wipe(f, r)})
		}
		return dst
	})
	err := end(k.journal, frames)
	for range frames { // whatever an error left out
	}
	k.journal = nil
	k.mu.Unlock()
	for _, x := range leavers {
		l.vacate(x.ref, x.peer)
	}
	return err
}

// unlocked is a lock that somebody else holds.
type unlocked struct{}

func (unlocked) Lock()   {}
func (unlocked) Unlock() {}

// snapshot yields the states of the kept associations, many to a frame, as write
// appends them for each slot. It holds the lock from before it writes a frame
// until it has been taken, so that what is appended to the journal meanwhile is
// not older than what is in the frame.
func (l *Listener) snapshot(lock sync.Locker, write func(dst []byte, slot uint32) []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		frame := make([]byte, 0, batchSize+maxEntry)
		high := l.table.highest()
		for slot := uint32(0); slot < high; {
			lock.Lock()
			for frame = frame[:0]; slot < high && len(frame) < batchSize; slot++ {
				if l.table.row(slot) != nil {
					frame = write(frame, slot)
				}
			}
			more := len(frame) == 0 || yield(frame)
			lock.Unlock()
			if !more {
				return
			}
		}
	}
}
