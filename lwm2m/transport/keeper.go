package transport

import (
	"fmt"
	"hash/maphash"
	"iter"
	"net/netip"
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

const (
	// reservedRecords is how many sequence numbers are reserved at once.
	reservedRecords = 1024
	// batchSize is about how much of a snapshot goes into one frame, in bytes.
	batchSize = 64 << 10
)

// The numbers of an association's cell.
const (
	cellID       = 0 // whose cell it is
	cellLimit    = 1 // first sequence number that is not reserved for sending
	cellExpected = 2 // one more than the highest sequence number received
)

// keeping is what an association knows of its place in the journal; zero: it is
// not kept.
type keeping struct {
	id    uint64
	place uint32 // of cell
	cell  journal.Cell
	limit uint64
}

// seal is Session.Seal with a number that is reserved. The caller holds mu.
func (a *association) seal(dst []byte, t dtls.ContentType, plaintext []byte) ([]byte, error) {
	if a.id != 0 && a.session.Next() >= a.limit {
		a.reserve()
	}
	return a.session.Seal(dst, t, plaintext)
}

func (a *association) reserve() {
	a.limit = a.session.Next() + reservedRecords
	a.cell.Store(cellLimit, a.limit)
}

// keptRole reports whether associations of a class are kept.
func keptRole(r coap.Role) bool { return r == coap.RoleOperational || r == coap.RolePSK }

// A keeper writes the journal of a listener's associations.
type keeper struct {
	seed maphash.Seed

	mu      sync.Mutex
	journal *journal.Journal // nil: nothing is kept
	lastID  uint64
	places  uint32   // given out so far
	free    []uint32 // given back
	// names are the restored associations by the hash of their identity's name.
	names map[uint64]*association
}

// add enters a new association in the journal, if it is of a kind that is kept.
func (k *keeper) add(a *association) error {
	if !keptRole(a.identity.Role) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.journal == nil {
		return nil
	}
	if err := k.assign(a); err != nil {
		return err
	}
	frame, live := a.state(nil)
	if !live { // it ended meanwhile, and says so when we are done
		return nil
	}
	err := k.journal.Append(frame)
	if err != nil { // the place is not given back: a part of the frame may be there
		a.mu.Lock()
		a.keeping = keeping{}
		a.mu.Unlock()
	}
	return err
}

// assign gives a its place. The caller holds mu.
func (k *keeper) assign(a *association) error {
	place := k.places
	if n := len(k.free); n > 0 {
		place = k.free[n-1]
	}
	cell, err := k.journal.Cell(place)
	if err != nil {
		return err
	}
	if n := len(k.free); n > 0 {
		k.free = k.free[:n-1]
	} else {
		k.places++
	}
	k.lastID++
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		k.free = append(k.free, place)
		return nil
	}
	a.keeping = keeping{id: k.lastID, place: place, cell: cell}
	cell.Store(cellID, 0) // nobody's, until the numbers are right
	cell.Store(cellExpected, a.session.Expected())
	a.reserve()
	cell.Store(cellID, a.id)
	return nil
}

// moved notes the address of an association. If that fails, only its peer can
// speak first after a kill.
func (k *keeper) moved(id uint64, addr netip.AddrPort) {
	if id == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.journal != nil {
		_ = k.journal.Append(appendMoved(nil, id, addr))
	}
}

// ended notes that an association is no more.
func (k *keeper) ended(a *association, was keeping) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.names) > 0 {
		if h := maphash.String(k.seed, a.identity.Name); k.names[h] == a {
			delete(k.names, h)
		}
	}
	if k.journal == nil || was.id == 0 {
		return
	}
	if k.journal.Append(appendEnded(nil, was.id)) == nil {
		k.free = append(k.free, was.place) // else the next rewrite says it
	}
}

// Restored returns the association of an earlier run of the program whose peer
// is called name, if it lives.
func (l *Listener) Restored(name string) (coap.Peer, bool) {
	k := &l.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.names[maphash.String(k.seed, name)]
	if a == nil || a.identity.Name != name {
		return nil, false
	}
	return a, true
}

// compact rewrites the journal if it has grown.
func (l *Listener) compact() error {
	k := &l.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.journal == nil || !k.journal.Grown() {
		return nil
	}
	return k.journal.Rewrite(snapshot(l.table.all(), (*association).state))
}

// keep leaves the kept associations to the next run of the program. They are
// over in this one, without a word to their peers.
func (l *Listener) keep() error {
	return l.leave((*association).freeze, func(j *journal.Journal, frames iter.Seq[[]byte]) error {
		return j.Close(frames)
	})
}

// abandon leaves things as the death of the process would.
func (l *Listener) abandon() error {
	return l.leave((*association).freeze, func(j *journal.Journal, frames iter.Seq[[]byte]) error {
		for range frames { // ends the associations, whose cells are about to go
		}
		return j.Abandon()
	})
}

func (l *Listener) leave(write func(*association, []byte) ([]byte, bool),
	end func(*journal.Journal, iter.Seq[[]byte]) error,
) error {
	k := &l.keeper
	k.mu.Lock()
	if k.journal == nil {
		k.mu.Unlock()
		return nil
	}
	all := l.table.all()
	frames := snapshot(all, write)
	err := end(k.journal, frames)
	for range frames { // whatever an error left out
	}
	k.journal, k.names = nil, nil
	k.mu.Unlock()
	for _, a := range all {
		if a.over() {
			l.table.remove(a, a.Addr())
			l.options.Engine.Closed(a)
		}
	}
	return err
}

// snapshot yields the states of the kept associations, many to a frame, as
// write appends them.
func snapshot(all []*association, write func(*association, []byte) ([]byte, bool)) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		frame := make([]byte, 0, batchSize+maxEntry)
		for _, a := range all {
			if frame, _ = write(a, frame); len(frame) >= batchSize {
				if !yield(frame) {
					return
				}
				frame = frame[:0]
			}
		}
		if len(frame) > 0 {
			yield(frame)
		}
	}
}

// freeze appends the state of an association and ends it here.
func (a *association) freeze(dst []byte) ([]byte, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dst, live := a.appendState(dst)
	if live {
		a.ended, a.session, a.lastFlight, a.keeping = true, dtls.Session{}, nil, keeping{}
	}
	return dst, live
}

// state appends the state of an association, unless it has ended or is not kept.
func (a *association) state(dst []byte) ([]byte, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.appendState(dst)
}

func (a *association) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}
