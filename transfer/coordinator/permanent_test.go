package coordinator_test

import (
	"crypto/x509"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/transfer"
)

// TestPermanentCAUnreachable: between the commit and the enrolment nobody can say what the
// permanent CA has revoked. Nobody enrols meanwhile. When it can be said again the device
// is enrolled, at the one provider or, where its grace was over, at the other; and one
// whose factory certificate turns out to be revoked at neither.
func TestPermanentCAUnreachable(t *testing.T) {
	for name, tt := range map[string]struct {
		away    time.Duration
		revoked bool
		ends    func(*testing.T, *world, string)
	}{
		"for half of the grace": {away: testGrace / 2, ends: func(t *testing.T, w *world, id string) {
			t.Helper()
			w.moved(t, id)
		}},
		"for longer than the grace, back": {away: 4 * testGrace, ends: func(t *testing.T, w *world, _ string) {
			t.Helper()
			s, at := w.devices[0].state()
			if s.State != transfer.Finalised && s.State != transfer.FellBack || at == nil {
				t.Errorf("the device is %s at %v", s.State, at)
			}
		}},
		"and the device's certificate was revoked": {
			away: testGrace / 2, revoked: true,
			ends: func(t *testing.T, w *world, id string) {
				t.Helper()
				if s, _ := w.devices[0].state(); s.State == transfer.Finalised || s.State == transfer.FellBack {
					t.Errorf("the device is %s", s.State)
				}
				for _, p := range []*provider{w.alpha, w.beta} {
					n := p.states(t, id)
					if n[transfer.RowFinalised]+n[transfer.RowRevokedOld]+n[transfer.RowFellBack] > 0 {
						t.Errorf("%s has %v", p.name, n)
					}
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var away, revoked atomic.Bool
				w := newWorld(t, 1, func(o *est.Options) {
					o.FactoryStatus = func(*x509.Certificate) (bool, bool) { return revoked.Load(), !away.Load() }
				})
				w.earliest = time.Now().Add(10 * time.Minute)
				w.start(t)
				id := w.handOver(t)
				until(t, 8*time.Minute, "ready", func() bool { return w.alpha.states(t, id)[transfer.RowReady] == 1 })
				away.Store(true)
				until(t, 10*time.Minute, "committed", func() bool { return w.beta.states(t, id)[transfer.RowCommitted] == 1 })
				time.Sleep(tt.away)
				for _, p := range []*provider{w.alpha, w.beta} {
					live, err := p.ca.List(t.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid})
					check(t, err)
					for _, c := range live {
						if est.Hash(transfer.HashOf(w.devices[0].old)) != c.Hash {
							t.Errorf("%s has issued while nobody knew what is revoked", p.name)
						}
					}
				}
				revoked.Store(tt.revoked)
				away.Store(false)
				time.Sleep(time.Hour)
				tt.ends(t, w, id)
			})
		})
	}
}
