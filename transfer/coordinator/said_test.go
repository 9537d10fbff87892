package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// A counter of statuses that are asked for. Each takes a second, which makes it good for
// twenty, however many ask and whenever they do.
type asked struct {
	coordinator.Peers

	times *atomic.Int32
}

func (a asked) Status(ctx context.Context, to coordinator.Partner, id string) (coordinator.Status, error) {
	a.times.Add(1)
	time.Sleep(time.Second)
	return a.Peers.Status(ctx, to, id)
}

// TestStatusIsAskedOnce: forty devices are away for ten minutes. The partner is asked
// how far they are hardly more often than for one, and what it says of each is noted.
func TestStatusIsAskedOnce(t *testing.T) {
	counts := map[int]int32{}
	for _, devices := range []int{1, 40} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, devices)
			times := &atomic.Int32{}
			w.alpha.change = func(o *coordinator.Options) { o.Peers = asked{o.Peers, times} }
			w.alpha.open(t)
			w.beta.domain.Grace = time.Hour
			w.beta.open(t)
			first := devices / 10                    // of the waves before the last
			w.beta.noDM, w.beta.places = true, first // the others enrol, and cannot register
			w.start(t)
			id := w.handOver(t)
			until(t, 10*time.Minute, "the others enrol", func() bool {
				return w.alpha.states(t, id)[transfer.RowEnrolled] == devices-first
			})
			before := times.Load()
			time.Sleep(10 * time.Minute)
			counts[devices] = times.Load() - before
			if got := w.alpha.states(t, id)[transfer.RowEnrolled]; got != devices-first {
				t.Errorf("%d of %d devices are known to have enrolled: %v", got, devices, w.alpha.states(t, id))
			}
			w.beta.mu.Lock()
			w.beta.noDM = false
			w.beta.mu.Unlock()
			time.Sleep(30 * time.Minute)
			w.moved(t, id)
		})
	}
	if counts[40] > 2*counts[1] {
		t.Errorf("asked %d times for 40 devices, %d times for one", counts[40], counts[1])
	}
	t.Logf("asked %v times", counts)
}
