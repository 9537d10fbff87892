// Package coordtest holds a coordinator.Store in memory, and the suite that every
// Store must pass.
package coordtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// A Store is a coordinator.Store in memory. The zero Store is empty and ready.
type Store struct {
	mu        sync.Mutex
	partners  map[string]coordinator.Partner
	transfers []coordinator.Transfer // oldest first
	documents map[string]coordinator.Documents
	papers    map[string][]coordinator.Paper
	rows      map[[2]string]coordinator.Row // by transfer and short
	receipts  []coordinator.Receipt
	answers   map[[2]string]coordinator.Answer // by partner and key
	audit     []audit.Row
}

var _ coordinator.Store = (*Store)(nil)

// Rows returns the audit rows written so far.
func (s *Store) Rows() []audit.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.audit)
}

// Audit implements audit.Log.
func (s *Store) Audit(_ context.Context, r audit.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.audit = append(s.audit, r)
	return nil
}

// Partner implements coordinator.Partners.
func (s *Store) Partner(_ context.Context, id string) (coordinator.Partner, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.partners[id]
	if !ok {
		return p, coordinator.ErrUnknown
	}
	return p, nil
}

// ListPartners implements coordinator.Partners.
func (s *Store) ListPartners(context.Context) ([]coordinator.Partner, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.partners), func(a, b coordinator.Partner) int {
		return strings.Compare(a.Name, b.Name)
	}), nil
}

// PutPartner implements coordinator.Partners.
func (s *Store) PutPartner(_ context.Context, p coordinator.Partner, row audit.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkPartner(p); err != nil {
		return err
	}
	s.putPartner(p)
	s.audit = append(s.audit, row)
	return nil
}

func (s *Store) checkPartner(p coordinator.Partner) error {
	for _, o := range s.partners {
		if o.ID != p.ID && (o.Name == p.Name || p.TLS != nil && o.TLSKey() == p.TLSKey()) {
			return coordinator.ErrPinned
		}
	}
	if s.partners[p.ID].Version != p.Version {
		return coordinator.ErrConflict
	}
	return nil
}

func (s *Store) putPartner(p coordinator.Partner) {
	if s.partners == nil {
		s.partners = map[string]coordinator.Partner{}
	}
	p.Version++
	s.partners[p.ID] = p
}

// Transfer implements coordinator.Transfers.
func (s *Store) Transfer(_ context.Context, id string) (coordinator.Transfer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(id)
	if i < 0 {
		return coordinator.Transfer{}, coordinator.ErrUnknown
	}
	return cloneTransfer(s.transfers[i]), nil
}

func (s *Store) index(id string) int {
	return slices.IndexFunc(s.transfers, func(t coordinator.Transfer) bool { return t.ID == id })
}

// Documents implements coordinator.Transfers.
func (s *Store) Documents(_ context.Context, id string) (coordinator.Documents, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index(id) < 0 {
		return coordinator.Documents{}, coordinator.ErrUnknown
	}
	return s.documents[id], nil
}

// Papers implements coordinator.Papers.
func (s *Store) Papers(_ context.Context, id string) ([]coordinator.Paper, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.papers[id]), nil
}

// ListTransfers implements coordinator.Transfers.
func (s *Store) ListTransfers(_ context.Context, before string, limit int) (out []coordinator.Transfer, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := len(s.transfers)
	if before != "" {
		end = max(s.index(before), 0)
	}
	for _, t := range slices.Backward(s.transfers[:end]) {
		if len(out) < limit {
			out = append(out, cloneTransfer(t))
		}
	}
	return out, nil
}

// DueTransfers implements coordinator.Transfers.
func (s *Store) DueTransfers(_ context.Context, now time.Time, limit int) (out []coordinator.Transfer, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transfers {
		if due(t.Due, now) && len(out) < limit {
			out = append(out, cloneTransfer(t))
		}
	}
	return out, nil
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// Answer implements coordinator.Transfers.
func (s *Store) Answer(_ context.Context, partner, key string) (coordinator.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.answers[[2]string{partner, key}]
	if !ok {
		return a, coordinator.ErrUnknown
	}
	return a, nil
}

// Commit implements coordinator.Transfers.
func (s *Store) Commit(_ context.Context, ch coordinator.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ch); err != nil {
		return err
	}
	if ch.Partner != nil {
		s.putPartner(*ch.Partner)
	}
	if ch.Transfer != nil {
		s.putTransfer(cloneTransfer(*ch.Transfer), ch.Documents)
		if s.papers == nil {
			s.papers = map[string][]coordinator.Paper{}
		}
		s.papers[ch.Transfer.ID] = append(s.papers[ch.Transfer.ID], ch.Papers...)
	}
	for _, r := range ch.Rows {
		if s.rows == nil {
			s.rows = map[[2]string]coordinator.Row{}
		}
		r.Version++
		s.rows[[2]string{r.Transfer, r.Short}] = cloneRow(r)
	}
	for _, r := range ch.Receipts {
		same := func(o coordinator.Receipt) bool {
			return o.Transfer == r.Transfer && o.Short == r.Short && o.Hash == r.Hash
		}
		if !slices.ContainsFunc(s.receipts, same) {
			s.receipts = append(s.receipts, r)
		}
	}
	if ch.Answer != nil {
		if s.answers == nil {
			s.answers = map[[2]string]coordinator.Answer{}
		}
		s.answers[[2]string{ch.Answer.Partner, ch.Answer.Key}] = *ch.Answer
	}
	s.audit = append(s.audit, ch.Audit...)
	return nil
}

func (s *Store) check(ch coordinator.Change) error {
	if ch.Partner != nil {
		if err := s.checkPartner(*ch.Partner); err != nil {
			return err
		}
	}
	if ch.Transfer != nil {
		var version int64
		if i := s.index(ch.Transfer.ID); i >= 0 {
			version = s.transfers[i].Version
		}
		if version != ch.Transfer.Version {
			return coordinator.ErrConflict
		}
	}
	for _, r := range ch.Rows {
		if s.rows[[2]string{r.Transfer, r.Short}].Version != r.Version {
			return coordinator.ErrConflict
		}
		if r.Version == 0 && !r.Ended() && len(s.open(r.Factory)) > 0 {
			return coordinator.ErrBusy
		}
	}
	return nil
}

func (s *Store) putTransfer(t coordinator.Transfer, d coordinator.Documents) {
	t.Version++
	if i := s.index(t.ID); i >= 0 {
		s.transfers[i] = t
	} else {
		s.transfers = append(s.transfers, t)
	}
	if s.documents == nil {
		s.documents = map[string]coordinator.Documents{}
	}
	old := s.documents[t.ID]
	for _, pair := range []struct{ to, from *[]byte }{
		{&old.Mandate, &d.Mandate}, {&old.Info, &d.Info}, {&old.Answer, &d.Answer}, {&old.Offer, &d.Offer},
	} {
		if *pair.from != nil {
			*pair.to = *pair.from
		}
	}
	s.documents[t.ID] = old
}

// Row implements coordinator.Rows.
func (s *Store) Row(_ context.Context, id, short string) (coordinator.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[[2]string{id, short}]
	if !ok {
		return r, coordinator.ErrUnknown
	}
	return cloneRow(r), nil
}

// sorted returns the rows that is selects, in order of transfer and short.
func (s *Store) sorted(is func(coordinator.Row) bool) (out []coordinator.Row) {
	for _, r := range s.rows {
		if is(r) {
			out = append(out, cloneRow(r))
		}
	}
	slices.SortFunc(out, func(a, b coordinator.Row) int {
		return strings.Compare(a.Transfer+"/"+a.Short, b.Transfer+"/"+b.Short)
	})
	return out
}

// ListRows implements coordinator.Rows.
func (s *Store) ListRows(_ context.Context, id, after string, limit int) ([]coordinator.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.sorted(func(r coordinator.Row) bool { return r.Transfer == id && r.Short > after })
	return out[:min(len(out), limit)], nil
}

// OpenRows implements coordinator.Rows.
func (s *Store) OpenRows(_ context.Context, factory fleet.Factory) ([]coordinator.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sorted(func(r coordinator.Row) bool {
		return r.Factory == factory && (!r.Ended() || len(r.Pending) > 0)
	}), nil
}

// EachOpenRow implements coordinator.Open.
func (s *Store) EachOpenRow(_ context.Context, fn func(coordinator.Row)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.sorted(func(r coordinator.Row) bool { return !r.Ended() || len(r.Pending) > 0 }) {
		fn(coordinator.Row{Transfer: r.Transfer, Short: r.Short, Device: r.Device, Version: r.Version})
	}
	return nil
}

// FactoryRows implements coordinator.Open.
func (s *Store) FactoryRows(_ context.Context, factory fleet.Factory, limit int) (out []coordinator.Row, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range slices.Backward(s.transfers) {
		out = append(out, s.sorted(func(r coordinator.Row) bool {
			return r.Transfer == t.ID && r.Factory == factory
		})...)
	}
	return out[:min(len(out), limit)], nil
}

// open returns the rows of a device that have not ended.
func (s *Store) open(factory fleet.Factory) []coordinator.Row {
	return s.sorted(func(r coordinator.Row) bool { return r.Factory == factory && !r.Ended() })
}

// DueRows implements coordinator.Rows.
func (s *Store) DueRows(_ context.Context, now time.Time, limit int) ([]coordinator.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.sorted(func(r coordinator.Row) bool { return due(r.Due, now) })
	return out[:min(len(out), limit)], nil
}

// Count implements coordinator.Rows.
func (s *Store) Count(_ context.Context, id string) (map[transfer.RowState]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[transfer.RowState]int{}
	for _, r := range s.rows {
		if r.Transfer == id {
			n[r.State]++
		}
	}
	return n, nil
}

// Ended implements coordinator.Open.
func (s *Store) Ended(_ context.Context, id string) (n int, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.Transfer == id && r.Ended() {
			n++
		}
	}
	return n, nil
}

// Receipts implements coordinator.Rows.
func (s *Store) Receipts(_ context.Context, id, short string) (out []coordinator.Receipt, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.receipts {
		if r.Transfer == id && r.Short == short {
			out = append(out, r)
		}
	}
	return out, nil
}

func cloneTransfer(t coordinator.Transfer) coordinator.Transfer {
	t.Pending, t.Approvals = slices.Clone(t.Pending), slices.Clone(t.Approvals)
	return t
}

func cloneRow(r coordinator.Row) coordinator.Row {
	r.Pending = slices.Clone(r.Pending)
	return r
}
