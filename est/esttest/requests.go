package esttest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"steward/est"
)

// requestKey names a request: who asks, and for what.
type requestKey struct{ client, csr est.Hash }

// SealedKey implements est.RequestStore.
func (s *Store) SealedKey(_ context.Context, client, csr est.Hash) (est.SealedKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[requestKey{client, csr}]
	if !ok {
		return k, fmt.Errorf("%w: no key for request %x", est.ErrUnknown, csr[:8])
	}
	return k, nil
}

// ForgetKeys implements est.RequestStore.
func (s *Store) ForgetKeys(_ context.Context, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, k := range s.keys {
		if !k.Until.After(now) {
			delete(s.keys, id)
		}
	}
	return nil
}

// Approval implements est.RequestStore.
func (s *Store) Approval(_ context.Context, client est.Hash) (est.Approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.approvals[client]
	if !ok {
		return a, fmt.Errorf("%w: no request of %x", est.ErrUnknown, client[:8])
	}
	return a, nil
}

// Approvals implements est.RequestStore.
func (s *Store) Approvals(_ context.Context, state est.ApprovalState, after est.Hash, limit int) (
	[]est.Approval, error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []est.Approval
	for client, a := range s.approvals {
		if bytes.Compare(client[:], after[:]) > 0 && is(state, a.State) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b est.Approval) int { return bytes.Compare(a.Client[:], b.Client[:]) })
	return out[:min(len(out), max(limit, 0))], nil
}

// putRequests stores what ch says of requests; ch was checked.
func (s *Store) putRequests(ch est.Change) {
	if ch.Key != nil {
		if s.keys == nil {
			s.keys = map[requestKey]est.SealedKey{}
		}
		s.keys[requestKey{ch.Key.Client, ch.Key.CSR}] = *ch.Key
	}
	if ch.Approval != nil {
		if s.approvals == nil {
			s.approvals = map[est.Hash]est.Approval{}
		}
		a := *ch.Approval
		a.Version++
		s.approvals[a.Client] = a
	}
}
