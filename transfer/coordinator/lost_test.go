package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer/coordinator"
)

// TestLostAnswers loses the answer to each call between providers, and to each
// operation on devices, which were performed.
func TestLostAnswers(t *testing.T) {
	tests := []struct {
		name string
		lose func(w *world)
	}{}
	for _, a := range []coordinator.Action{
		coordinator.ActionInfo, coordinator.ActionOffer, coordinator.ActionReady, coordinator.ActionCommitted,
		coordinator.ActionComplete, coordinator.ActionApprove,
	} {
		tests = append(tests, struct {
			name string
			lose func(w *world)
		}{string(a), func(w *world) { w.alpha.lose[a], w.beta.lose[a] = 1, 1 }})
	}
	for _, op := range []string{
		"create 42769", "read 42769", "read 42771", "write 42771/0", "read 42771/3", "read 42771/9",
		"execute 42771/1", "execute 42771/11",
	} {
		tests = append(tests, struct {
			name string
			lose func(w *world)
		}{op, func(w *world) { w.alpha.deaf[op], w.beta.deaf[op] = 2, 2 }})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				tt.lose(w)
				w.start(t)
				id := w.handOver(t)
				time.Sleep(20 * time.Minute)
				w.moved(t, id)
				alpha, beta := w.alpha.unheard(), w.beta.unheard()
				for op, n := range alpha {
					if n == 2 && beta[op] == 2 {
						t.Errorf("%s was never performed", op)
					}
				}
			})
		})
	}
}

// TestLostOnTheWayBack loses the answers that only a fallback needs.
func TestLostOnTheWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.beta.noDM = true
		for _, a := range []coordinator.Action{coordinator.ActionClose, coordinator.ActionComplete} {
			w.beta.lose[a] = 2
		}
		w.start(t)
		id := w.handOver(t)
		time.Sleep(20 * time.Minute)
		w.fellBack(t, id)
	})
}
