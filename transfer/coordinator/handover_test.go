package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestHandOver moves several devices, with one approval at each side.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5)
		w.start(t)
		begin := time.Now()
		id := w.handOver(t)
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
		for _, p := range []*provider{w.alpha, w.beta} {
			got, err := p.store.Transfer(t.Context(), id)
			check(t, err)
			if len(got.Approvals) != 1 || got.Approvals[0].By != "operator:bob" {
				t.Errorf("approvals at %s: %+v", p.name, got.Approvals)
			}
			rows, err := p.store.ListRows(t.Context(), id, "", 100)
			check(t, err)
			for _, r := range rows {
				if gap, ok := r.Disruption(); !ok || gap < 0 || gap > 30*time.Second {
					t.Errorf("%s at %s: disruption %v, %v", r.Endpoint, p.name, gap, ok)
				}
				if r.ActiveAt.Sub(begin) > 2*time.Minute {
					t.Errorf("%s at %s: active after %v", r.Endpoint, p.name, r.ActiveAt.Sub(begin))
				}
				receipts, err := p.store.Receipts(t.Context(), id, r.Short)
				check(t, err)
				if len(receipts) != 3 || receipts[2].State != transfer.Finalised {
					t.Errorf("%s at %s: %d receipts", r.Endpoint, p.name, len(receipts))
				}
			}
		}
	})
}

// TestHandOverByCOSE moves devices whose DeviceUpdateInfo is a COSE_Sign1.
func TestHandOverByCOSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.alpha.change = func(o *coordinator.Options) { o.InfoCOSE = true }
		w.alpha.open(t)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
		docs, err := w.beta.store.Documents(t.Context(), id)
		check(t, err)
		if !transfer.IsCOSE(docs.Info) {
			t.Errorf("info begins with %x", docs.Info[:4])
		}
		if report, _ := w.beta.record(t, id); !report.Proved {
			t.Errorf("not proved: %q", unproved(report))
		}
	})
}
