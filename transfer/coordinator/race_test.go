package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// slowCA is a CA that opens a right only when the device has given up waiting for it.
type slowCA struct {
	coordinator.CA

	wait func()
}

func (c slowCA) OpenRight(ctx context.Context, factory, spki est.Hash) (est.Right, error) {
	c.wait()
	return c.CA.OpenRight(ctx, factory, spki)
}

// silentPeers never tell that a device has committed.
type silentPeers struct{ coordinator.Peers }

func (p silentPeers) Post(ctx context.Context, to coordinator.Partner, call coordinator.Call) ([]byte, error) {
	if call.Action == coordinator.ActionCommitted {
		return nil, coordinator.ErrPartnerAway
	}
	return p.Peers.Post(ctx, to, call)
}

// TestOneRightOpen is I6 where Beta is about to open the right of a device, and Alpha
// asks it meanwhile to close that right: what Beta has signed stays true.
func TestOneRightOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		returned := func() bool {
			list, err := w.alpha.store.ListTransfers(t.Context(), "", 1)
			return err == nil && len(list) == 1 && w.alpha.states(t, list[0].ID)[transfer.RowReturned] == 1
		}
		w.beta.change = func(o *coordinator.Options) {
			o.CA = slowCA{o.CA, func() {
				for n := 0; n < 100 && !returned(); n++ {
					time.Sleep(time.Second)
				}
			}}
		}
		w.alpha.change = func(o *coordinator.Options) { o.Peers = silentPeers{o.Peers} }
		w.alpha.open(t)
		w.beta.open(t)
		w.start(t)
		id := w.handOver(t)
		for range 3000 {
			time.Sleep(100 * time.Millisecond)
			if a, b := w.right(t, w.alpha), w.right(t, w.beta); a == est.RightOpen && b == est.RightOpen {
				t.Fatal("I6: the right is open at both CAs")
			}
		}
		time.Sleep(30 * time.Minute)
		if end := w.outcome(t, id); end == "" {
			t.Error("the device does not end at exactly one provider")
		}
	})
}

// closingCA opens no right before one is being closed, and takes its time for that.
type closingCA struct {
	coordinator.CA

	closing *atomic.Bool
}

func (c closingCA) OpenRight(ctx context.Context, factory, spki est.Hash) (est.Right, error) {
	if !c.closing.Load() {
		return est.Right{}, errBroken
	}
	return c.CA.OpenRight(ctx, factory, spki)
}

func (c closingCA) CloseRight(ctx context.Context, factory est.Hash) (est.Right, error) {
	c.closing.Store(true)
	time.Sleep(20 * time.Second)
	return c.CA.CloseRight(ctx, factory)
}

// TestClosedStaysClosed is I6 where Beta, which could not open the right of a device until
// then, tries once more while it is closing it: what it has signed stays true.
func TestClosedStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.beta.change = func(o *coordinator.Options) { o.CA = closingCA{o.CA, &atomic.Bool{}} }
		w.beta.open(t)
		w.start(t)
		id := w.handOver(t)
		for range 3000 {
			time.Sleep(time.Second)
			if a, b := w.right(t, w.alpha), w.right(t, w.beta); a == est.RightOpen && b == est.RightOpen {
				t.Fatal("I6: the right is open at both CAs")
			}
		}
		time.Sleep(2 * time.Hour)
		w.fellBack(t, id)
		if b := w.right(t, w.beta); b == est.RightOpen {
			t.Error("the right that Beta has signed to be closed is open")
		}
	})
}

// right returns how the right of the first device stands at a provider's CA.
func (w *world) right(tb testing.TB, p *provider) est.RightState {
	tb.Helper()
	r, err := p.ca.Right(tb.Context(), w.devices[0].Factory)
	check(tb, err)
	return r.State
}
