// Package esttest has what tests of an authority need: a Store in memory, the
// suite that every Store must pass, and a whole CA in one call.
package esttest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// A Store keeps everything in memory. The zero value is empty and ready.
type Store struct {
	mu      sync.Mutex
	records []est.Record // in order of insertion
	rights  map[est.Hash]est.Right
	rows    []audit.Row

	keys      map[requestKey]est.SealedKey
	approvals map[est.Hash]est.Approval
	passwords []est.Password // in order of making
	errands   []est.Errand   // likewise
	origins   map[est.Hash]est.KeyOrigin
	followed  map[est.Hash]est.Succession
}

var (
	_ est.Store        = (*Store)(nil)
	_ est.RequestStore = (*Store)(nil)
	_ est.OriginStore  = (*Store)(nil)
)

// Audit returns the audit rows written so far.
func (s *Store) Audit() []audit.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

// Clone returns a copy: a backup.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{
		records: slices.Clone(s.records), rights: maps.Clone(s.rights), rows: slices.Clone(s.rows), keys: maps.Clone(s.keys),
		approvals: maps.Clone(s.approvals), passwords: slices.Clone(s.passwords), errands: slices.Clone(s.errands),
		origins: maps.Clone(s.origins),
	}
}

// Certificate implements est.Store.
func (s *Store) Certificate(_ context.Context, hash est.Hash) (est.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(hash)
	if i < 0 {
		return est.Record{}, fmt.Errorf("%w: certificate %x", est.ErrUnknown, hash[:8])
	}
	return s.records[i], nil
}

func (s *Store) index(hash est.Hash) int {
	return slices.IndexFunc(s.records, func(r est.Record) bool { return r.Hash == hash })
}

// Certificates implements est.Store.
func (s *Store) Certificates(_ context.Context, q est.Query) ([]est.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := q.Limit
	if limit <= 0 || limit > est.MaxPage {
		limit = est.MaxPage
	}
	last := len(s.records)
	if q.Before != (est.Hash{}) {
		last = max(s.index(q.Before), 0)
	}
	var out []est.Record
	for _, r := range slices.Backward(s.records[:last]) {
		if len(out) < limit && selects(q, r) {
			out = append(out, r)
		}
	}
	return out, nil
}

func selects(q est.Query, r est.Record) bool {
	return is(q.Kind, r.Kind) && is(q.Status, r.Status) && is(q.Reason, r.Reason) && is(q.Name, r.Name) &&
		is(q.Serial, r.Serial) && is(q.Issuer, r.Issuer) && is(q.Factory, r.Factory) && is(q.SPKI, r.SPKI) &&
		is(q.Client, r.Client) && is(q.CSR, r.CSR) && (q.Expires.IsZero() || r.NotAfter.Before(q.Expires)) &&
		(q.Replaced.IsZero() || !r.ReplacedAt.IsZero() && r.ReplacedAt.Before(q.Replaced))
}

// is reports whether want is zero or equals got.
func is[T comparable](want, got T) bool {
	var zero T
	return want == zero || want == got
}

// Revoked implements est.Store.
func (s *Store) Revoked(_ context.Context, issuer est.Hash, notAfter time.Time, fn func(est.Revocation) error) error {
	s.mu.Lock()
	records := slices.Clone(s.records)
	s.mu.Unlock()
	for _, r := range records {
		if r.Status != est.StatusRevoked || !is(issuer, r.Issuer) || r.NotAfter.Before(notAfter) {
			continue
		}
		err := fn(est.Revocation{
			Hash: r.Hash, Issuer: r.Issuer, Serial: r.Serial, NotAfter: r.NotAfter, At: r.RevokedAt, Reason: r.Reason,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Right implements est.Store.
func (s *Store) Right(_ context.Context, factory est.Hash) (est.Right, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rights[factory]
	if !ok {
		return est.Right{}, fmt.Errorf("%w: right %x", est.ErrUnknown, factory[:8])
	}
	return r, nil
}

// Rights implements est.Store.
func (s *Store) Rights(_ context.Context, endpoint string, after est.Hash, limit int) ([]est.Right, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []est.Right
	for hash, r := range s.rights {
		if bytes.Compare(hash[:], after[:]) > 0 && is(endpoint, r.Endpoint) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b est.Right) int { return bytes.Compare(a.Factory[:], b.Factory[:]) })
	return out[:min(len(out), max(limit, 0))], nil
}

// Commit implements est.Store.
func (s *Store) Commit(_ context.Context, ch est.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ch); err != nil {
		return err
	}
	if ch.Right != nil {
		r := *ch.Right
		r.Version++
		s.rename(ch.Renamed, r.Factory)
		s.succeed(ch.Succession, r.Factory)
		if s.rights == nil {
			s.rights = map[est.Hash]est.Right{}
		}
		s.rights[r.Factory] = r
	}
	for _, u := range ch.Update {
		r := &s.records[s.index(u.Hash)]
		r.Version++
		r.Status, r.Reason, r.Why, r.RevokedAt = u.Status, u.Reason, u.Why, u.RevokedAt
		r.UsedAt, r.ReplacedBy, r.ReplacedAt = u.UsedAt, u.ReplacedBy, u.ReplacedAt
	}
	s.records = append(s.records, ch.Insert...)
	s.putPassword(ch.Password)
	s.putErrands(ch.Errands)
	s.rows = append(s.rows, ch.Audit...)
	s.putRequests(ch)
	if o := ch.Origin; o != nil {
		if s.origins == nil {
			s.origins = map[est.Hash]est.KeyOrigin{}
		}
		s.origins[o.Factory] = o.Origin
	}
	return nil
}

// rename gives what is named by one factory certificate the name of another; zero
// is none.
func (s *Store) rename(from, to est.Hash) {
	if from == (est.Hash{}) {
		return
	}
	delete(s.rights, from)
	for i := range s.records {
		if s.records[i].Factory == from {
			s.records[i].Factory = to
		}
	}
}

// KeyOrigin implements est.OriginStore.
func (s *Store) KeyOrigin(_ context.Context, factory est.Hash) (est.KeyOrigin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.origins[factory]
	if !ok {
		return "", fmt.Errorf("%w: origin of %x", est.ErrUnknown, factory[:8])
	}
	return o, nil
}

// check says whether ch may be applied; nothing has changed yet.
func (s *Store) check(ch est.Change) error {
	if err := s.checkName(ch); err != nil {
		return err
	}
	if ch.Right != nil && ch.Right.State != est.RightDeleted {
		for _, r := range s.rights {
			if r.Endpoint == ch.Right.Endpoint && r.Factory != ch.Right.Factory && r.Factory != ch.Renamed &&
				r.State != est.RightDeleted {
				return fmt.Errorf("%w: %s", est.ErrEndpoint, r.Endpoint)
			}
		}
	}
	if ch.Approval != nil && s.approvals[ch.Approval.Client].Version != ch.Approval.Version {
		return fmt.Errorf("%w: request of %s", est.ErrConflict, ch.Approval.Endpoint)
	}
	if err := s.checkRecords(ch); err != nil {
		return err
	}
	if err := s.checkPassword(ch.Password); err != nil {
		return err
	}
	if err := s.checkErrands(ch.Errands); err != nil {
		return err
	}
	return s.checkSole(ch)
}

// checkName says whether the right to change is the one that was read.
func (s *Store) checkName(ch est.Change) error {
	if ch.Right == nil {
		return nil
	}
	name, conflict := ch.Right.Factory, fmt.Errorf("%w: right of %s", est.ErrConflict, ch.Right.Endpoint)
	if ch.Renamed != (est.Hash{}) {
		if _, taken := s.rights[name]; taken {
			return conflict
		}
		name = ch.Renamed
	}
	if s.rights[name].Version != ch.Right.Version {
		return conflict
	}
	return nil
}

func (s *Store) checkRecords(ch est.Change) error {
	seen := map[est.Hash]bool{}
	for _, r := range ch.Insert {
		if s.index(r.Hash) >= 0 || seen[r.Hash] {
			return fmt.Errorf("%w: certificate %x exists", est.ErrConflict, r.Hash[:8])
		}
		seen[r.Hash] = true
	}
	for _, r := range ch.Update {
		i := s.index(r.Hash)
		if i < 0 || seen[r.Hash] || s.records[i].Version != r.Version {
			return fmt.Errorf("%w: certificate %x", est.ErrConflict, r.Hash[:8])
		}
		if s.records[i].Status == est.StatusRevoked && r.Status != est.StatusRevoked {
			return fmt.Errorf("%w: certificate %x", est.ErrRevoked, r.Hash[:8])
		}
		seen[r.Hash] = true
	}
	return nil
}
