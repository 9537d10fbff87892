package est_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

var errCrash = errors.New("power cut")

// A faulty store fails one Commit, counted from zero: before it did anything, or
// after it was done.
type faulty struct {
	est.Store

	fail, n int
	after   bool
}

func (f *faulty) Commit(ctx context.Context, ch est.Change) error {
	n := f.n
	f.n++
	if n == f.fail && !f.after {
		return errCrash
	}
	if err := f.Store.Commit(ctx, ch); err != nil || n != f.fail {
		return err
	}
	return errCrash
}

// TestCrashAtEveryCommit cuts power around each transaction of a device's life at
// one CA. Who asks again by the same request ends with one live certificate.
func TestCrashAtEveryCommit(t *testing.T) {
	for _, after := range []bool{false, true} {
		for fail := range 7 {
			t.Run(fmt.Sprintf("commit %d, after it %v", fail, after), func(t *testing.T) {
				w := newWorld(t)
				store := &faulty{Store: w.store, fail: -1, after: after}
				w.ca = esttest.NewCA(t, "Alpha", store, w.clock.Now)
				store.fail, store.n = fail, 0
				w.life(t)
				if store.n <= fail {
					t.Errorf("a life of %d commits", store.n)
				}
			})
		}
	}
}

// life enrols, renews, uses the new certificate and enrols again under a reopened
// right, repeating each step until it is done.
func (w *world) life(t *testing.T) {
	t.Helper()
	ctx, factory := t.Context(), w.device.Factory
	last := esttest.Key(t)
	first, next, third := esttest.CSR(t, w.key, endpoint), esttest.CSR(t, esttest.Key(t), endpoint),
		esttest.CSR(t, last, endpoint)
	var old, fresh est.Issued
	steps := []struct {
		name string
		most int // certificates live after it
		do   func() error
	}{
		{"open", 0, func() error { _, err := w.ca.OpenRight(ctx, factory, est.Hash{}); return err }},
		{"enrol", 1, func() (err error) { old, err = w.enrol(ctx, first); return err }},
		{"renew", 2, func() (err error) { fresh, err = w.renew(ctx, old, next); return err }},
		{"use", 1, func() error { _, err := w.ca.Identify(ctx, [][]byte{fresh.DER}); return err }},
		{"suspend", 1, func() error { _, err := w.ca.SuspendRight(ctx, factory); return err }},
		{"reopen", 1, func() error { _, err := w.ca.ReopenRight(ctx, factory, spki(t, last)); return err }},
		{"enrol again", 1, func() (err error) { fresh, err = w.enrol(ctx, third); return err }},
	}
	for _, s := range steps {
		err := s.do()
		if errors.Is(err, errCrash) {
			err = s.do()
		}
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if got := w.live(t); len(got) > s.most {
			t.Errorf("%s: live %x, want at most %d", s.name, got, s.most)
		}
	}
	if got := w.live(t); len(got) != 1 || got[0] != fresh.Hash {
		t.Errorf("live %x, want %x alone", got, fresh.Hash)
	}
}
