package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer/coordinator"
)

// late delivers no call of one kind before a time.
type late struct {
	coordinator.Peers

	action coordinator.Action
	from   time.Time
}

func (p late) Post(ctx context.Context, to coordinator.Partner, call coordinator.Call) ([]byte, error) {
	if call.Action == p.action && time.Now().Before(p.from) {
		return nil, coordinator.ErrPartnerAway
	}
	return p.Peers.Post(ctx, to, call)
}

// TestAgreementComesLate: Beta has agreed to a later end, and Alpha, which cannot be
// told, lets devices commit meanwhile. The agreement reaches it all the same.
func TestAgreementComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.earliest = time.Now().Add(30 * time.Minute)
		w.beta.change = func(o *coordinator.Options) {
			o.Peers = late{o.Peers, coordinator.ActionExtension, time.Now().Add(45 * time.Minute)}
		}
		w.beta.open(t)
		w.start(t)
		w.devices[1].offFor(3 * time.Hour)
		id := w.handOver(t)
		later := window(t, w.alpha, id).Latest.Time().Add(6 * time.Hour)
		time.Sleep(10 * time.Minute)
		w.extend(t, id, later)
		time.Sleep(40 * time.Minute)
		for _, p := range []*provider{w.alpha, w.beta} {
			if got := window(t, p, id).Latest.Time(); !got.Equal(later) {
				t.Errorf("the window ends %s for %s, want %s", got, p.name, later)
			}
		}
		time.Sleep(3 * time.Hour)
		w.moved(t, id)
	})
}
