package coordinator_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// A holdingPeers delivers a call that it held back just before a commit is told.
type holdingPeers struct {
	coordinator.Peers

	deliver func(context.Context)
}

func (p holdingPeers) Post(ctx context.Context, to coordinator.Partner, call coordinator.Call) ([]byte, error) {
	if call.Action == coordinator.ActionCommitted {
		p.deliver(ctx)
	}
	return p.Peers.Post(ctx, to, call)
}

// TestOldReadyReceipt: a READY receipt that the network held back comes after that of a
// later message. The key of the later one is that which may enrol.
func TestOldReadyReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(30 * time.Minute)
		var old coordinator.Call
		var got error
		tried := false
		w.alpha.change = func(o *coordinator.Options) {
			o.Peers = holdingPeers{o.Peers, func(ctx context.Context) {
				if !tried {
					tried = true
					_, got = w.beta.coordinator().Receive(ctx, w.beta.partner(t, w.alpha), withKey(old, "held back"))
				}
			}}
		}
		w.alpha.open(t)
		w.start(t)
		id := w.handOver(t)
		latest := window(t, w.alpha, id).Latest.Time()
		time.Sleep(10 * time.Minute)
		old = w.beta.call(t, coordinator.ActionReady)
		w.devices[0].offFor(2 * time.Hour)
		w.extend(t, id, latest.Add(6*time.Hour))
		time.Sleep(3 * time.Hour)
		if !errors.Is(got, coordinator.ErrState) {
			t.Errorf("the receipt of the first message: %v, want ErrState", got)
		}
		rows, err := w.beta.store.ListRows(t.Context(), id, "", 1)
		check(t, err)
		if rows[0].Epoch != 2 {
			t.Errorf("Beta has the receipt of epoch %d", rows[0].Epoch)
		}
		w.moved(t, id)
	})
}

// TestRevisedUnderReady: what is told of a device that is READY already, and differs from
// its receipt, takes it out: nobody has proved it.
func TestRevisedUnderReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.earliest = time.Now().Add(30 * time.Minute)
		w.alpha.change = func(o *coordinator.Options) { o.ArmWait = 20 * time.Minute }
		w.alpha.open(t)
		w.start(t)
		w.devices[1].offFor(8 * time.Minute) // the other waits for it
		id := w.handOver(t)
		time.Sleep(3 * time.Minute)
		if n := w.beta.states(t, id); n[transfer.RowReady] != 1 || n[transfer.RowStaged] != 1 {
			t.Fatalf("before the revision: %v", n)
		}
		w.revise(t, id)
		time.Sleep(time.Minute)
		for _, p := range []*provider{w.alpha, w.beta} {
			if n := p.states(t, id); n[transfer.RowReady] != 0 || n[transfer.RowAborted] != 1 {
				t.Errorf("%s after the revision: %v, want the device that was READY to stay", p.name, n)
			}
		}
		time.Sleep(35 * time.Minute)
		_, err := w.alpha.coordinator().Resume(t.Context(), id, "operator:bob", "one of two has stayed")
		check(t, err)
		time.Sleep(15 * time.Minute)
		for _, p := range []*provider{w.alpha, w.beta} {
			if n := p.states(t, id); n[transfer.RowAborted] != 1 || n[transfer.RowFinalised]+n[transfer.RowRevokedOld] != 1 {
				t.Errorf("%s at the end: %v", p.name, n)
			}
			if report, _ := p.record(t, id); !report.Proved {
				t.Errorf("record of %s: not proved: %q", p.name, unproved(report))
			}
		}
	})
}

// slowStore takes a second to store.
type slowStore struct{ coordinator.Store }

func (s slowStore) Commit(ctx context.Context, ch coordinator.Change) error {
	time.Sleep(time.Second)
	return s.Store.Commit(ctx, ch)
}

// TestLimitsAtOnce: many small transfers that come at the same moment are counted one
// after the other.
func TestLimitsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 8
		w := newWorld(t, many)
		alpha := w.beta.partner(t, w.alpha)
		_, err := w.beta.c.SetPartnerLimits(t.Context(), alpha.ID, coordinator.Limits{Open: 2}, "operator:carol", "")
		check(t, err)
		alpha = w.beta.partner(t, w.alpha)
		w.beta.change = func(o *coordinator.Options) { o.Store = slowStore{o.Store} }
		w.beta.open(t)
		var calls []coordinator.Call
		for i, d := range w.devices {
			calls = append(calls, w.infoOf(t, d, strconv.Itoa(i)))
		}
		var all sync.WaitGroup
		for _, call := range calls {
			all.Go(func() { _, _ = w.beta.c.Receive(t.Context(), alpha, call) })
		}
		all.Wait()
		if u, err := w.beta.c.Usage(t.Context(), alpha.ID); err != nil || u.Open != 2 {
			t.Errorf("%d transfers are open, %v, want 2", u.Open, err)
		}
	})
}

// infoOf drafts a transfer of one device and returns the call by which Alpha submits it.
func (w *world) infoOf(tb testing.TB, d *device, key string) coordinator.Call {
	tb.Helper()
	draft, err := w.alpha.c.Draft(tb.Context(), coordinator.Draft{
		Partner: w.alpha.partner(tb, w.beta).ID, Devices: []fleetID{d.id(w.alpha)}, Actor: "operator:alice",
	})
	check(tb, err)
	_, err = w.alpha.c.Submit(tb.Context(), draft.ID, "operator:alice")
	check(tb, err)
	docs, err := w.alpha.c.Documents(tb.Context(), draft.ID)
	check(tb, err)
	body, err := json.Marshal(coordinator.Submission{Info: string(docs.Info), Mandate: docs.Mandate})
	check(tb, err)
	return coordinator.Call{Action: coordinator.ActionInfo, Key: key, Body: body}
}

// TestRecordOfALateExtension: who signs an extension when the window has passed, or under
// a mandate for other devices, proves nothing by it.
func TestRecordOfALateExtension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(30 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		first := window(t, w.alpha, id)
		time.Sleep(10 * time.Minute)
		w.devices[0].offFor(2 * time.Hour)
		w.extend(t, id, first.Latest.Time().Add(6*time.Hour))
		time.Sleep(3 * time.Hour)
		w.moved(t, id)
		_, raw := w.alpha.record(t, id)
		yes := true
		for name, change := range map[string]func(a *transfer.Agreement, m *transfer.Mandate){
			"":               func(*transfer.Agreement, *transfer.Mandate) {},
			"too late":       func(a *transfer.Agreement, _ *transfer.Mandate) { a.IssuedAt = first.Latest + 1800 },
			"begins earlier": func(a *transfer.Agreement, _ *transfer.Mandate) { a.Window.Earliest -= 60 },
			"ends no later":  func(a *transfer.Agreement, _ *transfer.Mandate) { a.Window.Latest = first.Latest },
			"mandate of another device": func(_ *transfer.Agreement, m *transfer.Mandate) {
				m.Devices.Factory = []transfer.Hash{{1}}
			},
			"mandate that lets more": func(_ *transfer.Agreement, m *transfer.Mandate) { m.KeepApplication = &yes },
		} {
			record, err := transfer.ParseRecord(raw)
			check(t, err)
			agreed, err := transfer.ParseAgreement(record.Extensions[0].Agreement)
			check(t, err)
			mandate, err := transfer.ParseMandate(record.Extensions[0].Mandate)
			check(t, err)
			change(&agreed.Body, &mandate.Body)
			if name != "" {
				record.Extensions[0].Mandate, err = mandate.Body.Sign(w.alpha.signer)
				check(t, err)
				mandate, err = transfer.ParseMandate(record.Extensions[0].Mandate)
				check(t, err)
				agreed.Body.Mandate = mandate.Hash
				record.Extensions[0].Agreement, err = agreed.Body.Sign(w.beta.signer)
				check(t, err)
			}
			forged, err := record.Sign(w.alpha.signer)
			check(t, err)
			report, err := transfer.CheckRecord(forged, nil)
			if err != nil || report.Proved != (name == "") {
				t.Errorf("%q: proved %t, %v, not proved: %q", name, report.Proved, err, unproved(report))
			}
		}
	})
}
