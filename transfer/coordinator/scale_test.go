package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestT22Coordinators moves a fleet, a fifth of what the transfer protocol (§9) names, with
// two approvals and nothing else that a person does.
func TestT22Coordinators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 200)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(30 * time.Minute)
		w.moved(t, id)
		for _, p := range []*provider{w.alpha, w.beta} {
			got, err := p.store.Transfer(t.Context(), id)
			check(t, err)
			if len(got.Approvals) != 1 {
				t.Errorf("%d approvals at %s, want 1", len(got.Approvals), p.name)
			}
		}
	})
}
