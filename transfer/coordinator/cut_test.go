package coordinator_test

import (
	"context"
	"errors"
	"sync"

	"steward/transfer/coordinator"
	"steward/transfer/coordinator/coordtest"
)

var errCrash = errors.New("process is dead")

// A cutStore is a Store whose process dies at a Commit: before it, or after it was
// stored and before anybody learnt of it.
type cutStore struct {
	*coordtest.Store

	mu     sync.Mutex
	left   int // Commits until then
	kept   bool
	dead   bool
	crash  func()
	commit int // seen
}

func (s *cutStore) Commit(ctx context.Context, ch coordinator.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errCrash
	}
	s.commit++
	s.left--
	if s.left != 0 {
		return s.Store.Commit(ctx, ch)
	}
	s.dead = true
	if s.kept {
		_ = s.Store.Commit(ctx, ch)
	}
	s.crash()
	return errCrash
}
