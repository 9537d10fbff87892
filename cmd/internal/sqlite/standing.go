package sqlite

import (
	"sync"
	"sync/atomic"
	"time"

	"steward/est"
)

// maxStandings bounds what is remembered of certificates: some 200 bytes each.
const maxStandings = 8192

// A standing is what a handshake has to know of an operational certificate that was
// good when it was read, and whose use changes nothing.
type standing struct {
	name        string
	from, until time.Time
}

// standings remember the certificates that were read, so that a device that comes
// back costs no look into the file. What a change of a certificate has made untrue
// is forgotten before whoever made the change hears that it is done.
type standings struct {
	changes atomic.Uint64 // of certificates, so far

	mu sync.RWMutex
	of map[est.Hash]standing
}

// keep remembers a record that was read after changes were counted, unless there
// were more meanwhile: it may be older than they are.
func (s *standings) keep(r est.Record, changes uint64) {
	renews := r.Supersedes != est.Hash{} && r.UsedAt.IsZero() // its first use revokes another
	if r.Kind != est.KindOperational || r.Status != est.StatusValid || !r.ReplacedAt.IsZero() || renews {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes.Load() != changes {
		return
	}
	if s.of == nil {
		s.of = make(map[est.Hash]standing)
	}
	if len(s.of) >= maxStandings {
		for some := range s.of { // whichever: none is worth more than another
			delete(s.of, some)
			break
		}
	}
	s.of[r.Hash] = standing{r.Name, r.NotBefore, r.NotAfter}
}

// changed forgets certificates that were changed, or may have been.
func (s *standings) changed(records []est.Record) {
	if len(records) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.Add(1)
	for _, r := range records {
		delete(s.of, r.Hash)
	}
}

// Standing returns whose an operational certificate is that is good at now and was
// read not long ago, without a look into the file. ok is false for all others: they
// are to be read.
func (s Inventory) Standing(hash est.Hash, now time.Time) (name string, ok bool) {
	k := &s.db.standings
	k.mu.RLock()
	defer k.mu.RUnlock()
	c, ok := k.of[hash]
	return c.name, ok && !now.Before(c.from) && !now.After(c.until)
}
