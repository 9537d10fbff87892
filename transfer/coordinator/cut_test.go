package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// crashAt makes p die at its nth Commit from now, and start again a while later.
func (p *provider) crashAt(tb testing.TB, n int, kept bool) *cutStore {
	tb.Helper()
	s := &cutStore{Store: p.store, left: n, kept: kept}
	s.crash = func() {
		go func() {
			p.stop()
			time.Sleep(3 * time.Second)
			p.mu.Lock()
			p.cut = nil
			p.openLocked(tb)
			p.mu.Unlock()
			p.start()
		}()
	}
	p.stop()
	p.mu.Lock()
	p.cut = s
	p.openLocked(tb)
	p.mu.Unlock()
	p.start()
	return s
}

// everyCrash runs a scenario with a crash of each provider at each of its commits,
// until the scenario ends before the crash.
func everyCrash(t *testing.T, devices int, scenario func(t *testing.T, w *world)) {
	t.Helper()
	for _, kept := range []bool{true, false} {
		for _, beta := range []bool{false, true} {
			name := fmt.Sprintf("kept %t, beta %t", kept, beta)
			t.Run(name, func(t *testing.T) {
				for n := 1; ; n++ {
					dead := false
					ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							w := newWorld(t, devices)
							w.start(t)
							p := w.alpha
							if beta {
								p = w.beta
							}
							var s *cutStore
							w.submitted = func() { s = p.crashAt(t, n, kept) }
							scenario(t, w)
							s.mu.Lock()
							dead = s.dead
							s.mu.Unlock()
						})
					})
					if !ok || !dead {
						t.Logf("%d commits", n-1)
						return
					}
				}
			})
		}
	}
}

// TestCrashAnywhere kills each provider at each step of a hand-over: it completes
// (transfer protocol §7, crash anywhere).
func TestCrashAnywhere(t *testing.T) {
	everyCrash(t, 2, func(t *testing.T, w *world) {
		t.Helper()
		id := w.handOver(t)
		time.Sleep(20 * time.Minute)
		w.moved(t, id)
	})
}
