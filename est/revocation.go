package est

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Revocation is what the world may know of a revoked certificate.
type Revocation struct {
	Hash     Hash
	Issuer   Hash   // of the issuing certificate
	Serial   string // lower-case hex
	NotAfter time.Time
	At       time.Time // when it was revoked
	Reason   Reason
	SPKI     Hash // of a key that is compromised; zero for other reasons, and from Store.Revoked
}

// revocation returns what is published of a revoked record.
func (r Record) revocation() Revocation {
	out := Revocation{
		Hash: r.Hash, Issuer: r.Issuer, Serial: r.Serial, NotAfter: r.NotAfter, At: r.RevokedAt, Reason: r.Reason,
	}
	if r.Reason == KeyCompromise {
		out.SPKI = r.SPKI
	}
	return out
}

// An EntryKind says what an Entry of a Journal keeps.
type EntryKind uint8

// The kinds of entries. Their numbers stand in files.
const (
	EntryRevoked EntryKind = 1 // Revocation
	EntryDeleted EntryKind = 2 // Subject is a factory certificate, Number when its right was deleted (Unix µs)
	EntryNumber  EntryKind = 3 // Subject is an issuing certificate, Number what its CRLs have used up
	// EntryPassword: Subject is the hash of a one-time password's id, Number its end in
	// Unix seconds, times 65,536, plus the uses that are left.
	EntryPassword EntryKind = 4
)

// An Entry is what must never be forgotten, though the Store be restored from a
// backup.
type Entry struct {
	Kind       EntryKind
	Revocation Revocation // of EntryRevoked
	Subject    Hash       // of the others
	Number     int64
}

// passwordUses is where the uses that are left end in the Number of an EntryPassword.
const passwordUses = 1 << 16

// Over reports whether an entry says nothing more of what is used after since.
func (e Entry) Over(since time.Time) bool {
	switch e.Kind {
	case EntryRevoked:
		return e.Revocation.NotAfter.Before(since)
	case EntryPassword:
		return e.Number/passwordUses < since.Unix()
	default:
		return false
	}
}

// A Journal keeps entries apart from the Store, so that one may be restored
// without the other. It is safe for concurrent use.
type Journal interface {
	// Append returns after the entries are on the disk. After an error some may be.
	Append(entries []Entry) error
	// Replay calls fn for every entry of the processes before this one, in order.
	// clean reports that the last of them wrote all that it had to.
	Replay(fn func(Entry) error) (clean bool, err error)
}

// forgetful is the Journal of who has none.
type forgetful struct{}

func (forgetful) Append([]Entry) error                   { return nil }
func (forgetful) Replay(func(Entry) error) (bool, error) { return true, nil }

// A ledger is what a CA holds in memory about revocations: those that its Store
// does not know, what the Journal could not take yet, and the lists for CRLs. All
// actors share it.
type ledger struct {
	journal Journal
	loads   sync.Mutex // held while a list is read from the Store

	mu sync.Mutex
	// strays are revoked certificates that the Store does not hold, by hash: it was
	// restored from a backup older than they are.
	strays   map[Hash]Revocation
	serials  map[string]Hash   // of strays
	keys     map[Hash]struct{} // of strays, compromised
	owed     []Entry           // committed, and not in the journal
	under    int               // commits under way: the journal may not have them yet
	lists    map[Hash]*list    // by issuing certificate
	numbers  map[Hash]numbers
	watchers []func(Revocation)
}

// numbers are those of an issuing certificate's CRLs.
type numbers struct {
	last     int64 // the last used
	reserved int64 // the journal knows of all up to this one
}

func newLedger(j Journal) *ledger {
	if j == nil {
		j = forgetful{}
	}
	return &ledger{
		journal: j, strays: map[Hash]Revocation{}, serials: map[string]Hash{}, lists: map[Hash]*list{},
		numbers: map[Hash]numbers{}, keys: map[Hash]struct{}{},
	}
}

// watch has fn called for each revocation from now on, before it is acknowledged.
// fn must not block.
func (l *ledger) watch(fn func(Revocation)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers = append(l.watchers, fn)
}

// note makes what was committed known to lists and watchers.
func (l *ledger) note(r Revocation) {
	l.mu.Lock()
	if list := l.lists[r.Issuer]; list != nil {
		list.add(r)
	}
	watchers := l.watchers
	l.mu.Unlock()
	for _, fn := range watchers {
		fn(r)
	}
}

// append brings entries, and those owed, to the journal.
func (l *ledger) append(entries []Entry) error {
	l.mu.Lock()
	all := append(l.owed, entries...) //nolint:gocritic // owed is given away
	l.owed = nil
	if len(all) == 0 {
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	err := l.journal.Append(all)
	if err != nil {
		l.mu.Lock()
		l.owed = append(all, l.owed...)
		l.mu.Unlock()
	}
	return err
}

// count counts the commits under way.
func (l *ledger) count(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.under += by
}

// settle returns after the journal has an entry that was committed before: it writes
// it again unless there is nothing that could be on its way.
func (l *ledger) settle(e Entry) error {
	l.mu.Lock()
	settled := l.under == 0 && len(l.owed) == 0
	l.mu.Unlock()
	if settled {
		return nil
	}
	return l.append([]Entry{e})
}

// Settle brings to the Journal what it could not take when it was asked to. It is to
// be called now and then.
func (ca *CA) Settle() error { return ca.ledger.append(nil) }

// err is what a certificate with this revocation is refused for.
func (r Revocation) err() error {
	return fmt.Errorf("%w: certificate %x: %s", ErrRevoked, r.Hash[:8], r.Reason)
}

// stray keeps the revocation of a certificate that the Store does not hold. It returns
// how many more there are: 0 for one that is kept already.
func (l *ledger) stray(r Revocation) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.strays[r.Hash]; ok {
		return 0
	}
	l.strays[r.Hash], l.serials[r.Serial] = r, r.Hash
	if r.SPKI != (Hash{}) {
		l.keys[r.SPKI] = struct{}{}
	}
	return 1
}

// strayKey reports whether a key is that of a stray certificate, and compromised.
func (l *ledger) strayKey(spki Hash) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.keys[spki]
	return ok
}

// strayOf returns the revocation of a certificate that the Store does not hold.
func (l *ledger) strayOf(h Hash) (Revocation, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.strays[h]
	return r, ok
}

// straySerial is stray by the serial number in lower-case hex.
func (l *ledger) straySerial(issuer Hash, serial string) (Revocation, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.strays[l.serials[serial]]
	return r, ok && r.Issuer == issuer
}

// number returns the next CRL number of an issuing certificate: the time in
// microseconds, unless a greater one was used before. The journal knows of it
// before it is used, an hour ahead.
func (l *ledger) number(issuer Hash, now time.Time) (int64, error) {
	l.mu.Lock()
	n := l.numbers[issuer]
	n.last = max(n.last+1, now.UnixMicro())
	ahead := n.last > n.reserved
	if ahead {
		n.reserved = n.last + time.Hour.Microseconds()
	}
	if !ahead {
		l.numbers[issuer] = n
	}
	l.mu.Unlock()
	if !ahead {
		return n.last, nil
	}
	if err := l.append([]Entry{{Kind: EntryNumber, Subject: issuer, Number: n.reserved}}); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.numbers[issuer]; m.last >= n.last { // somebody was faster
		n.last, n.reserved = m.last+1, max(n.reserved, m.reserved)
	}
	l.numbers[issuer] = n
	return n.last, nil
}

// committed makes known what ch changed: to the journal, to who watches, and to
// Options.Revoked. The error is the journal's; all else is done nevertheless.
func (ca *CA) committed(ch Change) error {
	ca.compromised.note(ch)
	var entries []Entry
	for _, r := range ch.Update {
		if r.Status == StatusRevoked {
			entries = append(entries, Entry{Kind: EntryRevoked, Revocation: r.revocation()})
		}
	}
	if ch.Right != nil && ch.Right.State == RightDeleted {
		at := ch.Right.ChangedAt.UnixMicro()
		entries = append(entries, Entry{Kind: EntryDeleted, Subject: ch.Right.Factory, Number: at})
	}
	if p := ch.Password; p != nil {
		entries = append(entries, Entry{Kind: EntryPassword, Subject: sumText(p.ID), Number: p.journalled()})
	}
	for _, e := range entries {
		if e.Kind == EntryRevoked {
			ca.ledger.note(e.Revocation)
			if ca.o.Revoked != nil {
				ca.o.Revoked(e.Revocation.Hash)
			}
		}
	}
	return ca.ledger.append(entries)
}

// record returns a certificate's record, or ErrRevoked for one that is revoked
// and not in the Store.
func (ca *CA) record(ctx context.Context, hash Hash) (Record, error) {
	r, err := ca.o.Store.Certificate(ctx, hash)
	if errors.Is(err, ErrUnknown) {
		if s, ok := ca.ledger.strayOf(hash); ok {
			return Record{}, s.err()
		}
	}
	return r, err
}
