package esttest

import (
	"context"
	"fmt"

	"steward/est"
)

// succeed keeps by which a factory certificate has taken the place of another.
func (s *Store) succeed(by *est.Succession, factory est.Hash) {
	if by == nil {
		return
	}
	if s.followed == nil {
		s.followed = map[est.Hash]est.Succession{}
	}
	s.followed[factory] = *by
}

// Succession implements est.OriginStore.
func (s *Store) Succession(_ context.Context, factory est.Hash) (est.Succession, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if by, ok := s.followed[factory]; ok {
		return by, nil
	}
	return est.Succession{}, fmt.Errorf("%w: succession of %x", est.ErrUnknown, factory[:8])
}
