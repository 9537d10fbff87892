package esttest

import (
	"context"
	"fmt"
	"slices"

	"steward/est"
)

var (
	_ est.Passwords = (*Store)(nil)
	_ est.Errands   = (*Store)(nil)
)

// Password implements est.Passwords.
func (s *Store) Password(_ context.Context, id string) (est.Password, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.passwords, func(p est.Password) bool { return p.ID == id })
	if i < 0 {
		return est.Password{}, fmt.Errorf("%w: password %.32q", est.ErrUnknown, id)
	}
	return s.passwords[i], nil
}

// Passwords implements est.Passwords.
func (s *Store) Passwords(_ context.Context, before string, limit int) ([]est.Password, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.passwords)
	if before != "" {
		last = max(slices.IndexFunc(s.passwords, func(p est.Password) bool { return p.ID == before }), 0)
	}
	out := slices.Clone(s.passwords[:last])
	slices.Reverse(out)
	return out[:min(len(out), max(limit, 0))], nil
}

func (s *Store) checkPassword(p *est.Password) error {
	if p == nil {
		return nil
	}
	var stored int64
	for _, other := range s.passwords {
		if other.ID == p.ID {
			stored = other.Version
		}
	}
	if stored != p.Version {
		return fmt.Errorf("%w: password %s", est.ErrConflict, p.ID)
	}
	return nil
}

func (s *Store) putPassword(p *est.Password) {
	if p == nil {
		return
	}
	next := *p
	next.Version++
	i := slices.IndexFunc(s.passwords, func(other est.Password) bool { return other.ID == p.ID })
	if i < 0 {
		s.passwords = append(s.passwords, next)
		return
	}
	s.passwords[i] = next
}

// Errand implements est.Errands.
func (s *Store) Errand(_ context.Context, id string) (est.Errand, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.errand(id)
	if i < 0 {
		return est.Errand{}, fmt.Errorf("%w: errand %.32q", est.ErrUnknown, id)
	}
	return s.errands[i], nil
}

func (s *Store) errand(id string) int {
	return slices.IndexFunc(s.errands, func(o est.Errand) bool { return o.ID == id })
}

// Errands implements est.Errands.
func (s *Store) Errands(_ context.Context, q est.ErrandQuery) ([]est.Errand, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Limit <= 0 || q.Limit > est.MaxPage {
		q.Limit = est.MaxPage
	}
	last := len(s.errands)
	if q.Before != "" {
		last = max(s.errand(q.Before), 0)
	}
	var out []est.Errand
	for _, o := range slices.Backward(s.errands[:last]) {
		if len(out) < q.Limit && is(q.State, o.State) && is(q.Client, o.Client) && is(q.CSR, o.CSR) &&
			(q.Due.IsZero() || !o.NextAt.After(q.Due)) {
			out = append(out, o)
		}
	}
	return out, nil
}

// open reports whether an errand is still under way.
func open(o est.Errand) bool { return o.State == est.ErrandWaiting || o.State == est.ErrandReady }

// checkErrands says whether the errands may be stored one after the other.
func (s *Store) checkErrands(errands []est.Errand) error {
	after := &Store{errands: slices.Clone(s.errands)}
	for _, o := range errands {
		var stored int64
		if i := after.errand(o.ID); i >= 0 {
			stored = after.errands[i].Version
		}
		clash := slices.ContainsFunc(after.errands, func(other est.Errand) bool {
			return other.ID != o.ID && other.Client == o.Client && open(other) && open(o)
		})
		if stored != o.Version || clash {
			return fmt.Errorf("%w: errand %s of %s", est.ErrConflict, o.ID, o.Name)
		}
		after.putErrands([]est.Errand{o})
	}
	return nil
}

func (s *Store) putErrands(errands []est.Errand) {
	for _, o := range errands {
		o.Version++
		if i := s.errand(o.ID); i >= 0 {
			s.errands[i] = o
			continue
		}
		s.errands = append(s.errands, o)
	}
}

// checkFirst says whether no operational certificate, and no second factory
// certificate, has the name that ch has for it.
func (s *Store) checkFirst(ch est.Change) error {
	had := func(r est.Record) bool { return r.Kind == est.KindOperational && r.Name == ch.First }
	if ch.First != "" && slices.ContainsFunc(s.records, had) {
		return fmt.Errorf("%w: %s had a certificate", est.ErrConflict, ch.First)
	}
	if ch.SoleFactory != "" && s.factories(ch) > 1 {
		return fmt.Errorf("%w: factory certificates of %s", est.ErrConflict, ch.SoleFactory)
	}
	return nil
}

// checkSole says whether ch leaves its name to nobody else.
func (s *Store) checkSole(ch est.Change) error {
	if err := s.checkFirst(ch); err != nil || ch.Sole == "" {
		return err
	}
	for _, r := range s.rights {
		if r.Endpoint == ch.Sole && r.State != est.RightDeleted {
			return fmt.Errorf("%w: %s", est.ErrEndpoint, ch.Sole)
		}
	}
	status := map[est.Hash]est.Status{}
	for _, r := range slices.Concat(s.records, ch.Insert, ch.Update) {
		if r.Kind == est.KindOperational && r.Name == ch.Sole {
			status[r.Hash] = r.Status
		}
	}
	holders := 0
	for _, st := range status {
		if st == est.StatusValid {
			holders++
		}
	}
	if holders > 1 {
		return fmt.Errorf("%w: %d certificates of %s", est.ErrConflict, holders, ch.Sole)
	}
	return nil
}
