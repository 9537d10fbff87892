package coordinator_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// paused stores at Alpha a transfer of a hundred devices that nobody reaches, which is
// paused in a wave. The first devices are in the given states, the others READY.
func (w *world) paused(t *testing.T, wave int, first map[transfer.RowState]int) (id string) {
	t.Helper()
	const devices = 100
	partner, now := w.alpha.partner(t, w.beta), time.Now()
	id = hex.EncodeToString(bytes.Repeat([]byte{1}, 16))
	ch := coordinator.Change{Transfer: &coordinator.Transfer{
		ID: id, Partner: partner.ID, PartnerName: partner.Name, State: transfer.BatchSwitching, Paused: true, Wave: wave,
		Window: transfer.NewWindow(now, now.Add(time.Hour)), Grace: testGrace, CreatedAt: now, Due: now,
	}}
	for state, n := range first {
		for range n {
			ch.Rows = append(ch.Rows, rowIn(id, len(ch.Rows), state))
		}
	}
	for len(ch.Rows) < devices {
		ch.Rows = append(ch.Rows, rowIn(id, len(ch.Rows), transfer.RowReady))
	}
	check(t, w.alpha.store.Commit(t.Context(), ch))
	return id
}

func rowIn(id string, n int, state transfer.RowState) coordinator.Row {
	r := coordinator.Row{
		Transfer: id, Factory: fleet.Factory(transfer.HashOf([]byte{byte(n)})), State: state,
		Endpoint: lwm2m.Endpoint(fmt.Sprintf("urn:dev:os:32473-%04d", n)),
	}
	r.Short = r.Factory.Short()
	return r
}

// become has so many rows of one state be in another.
func (p *provider) become(t *testing.T, id string, n int, from, to transfer.RowState) {
	t.Helper()
	rows, err := p.store.ListRows(t.Context(), id, "", 100)
	check(t, err)
	var ch coordinator.Change
	for _, r := range rows {
		if r.State == from && len(ch.Rows) < n {
			r.State, r.Due, r.CommittedAt = to, time.Time{}, time.Now()
			ch.Rows = append(ch.Rows, r)
		}
	}
	check(t, p.store.Commit(t.Context(), ch))
}

// TestResumeOfAborted resumes what was paused for devices that failed before they had
// left: the first that is lost after its commit pauses again.
func TestResumeOfAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		id := w.paused(t, 0, map[transfer.RowState]int{transfer.RowAborted: 10})
		got, err := w.alpha.c.Resume(t.Context(), id, "operator:alice", "they are broken")
		if err != nil || got.Tolerated != 10 || got.ToleratedLost != 0 {
			t.Fatalf("resumed: %d failed, %d lost are tolerated, %v", got.Tolerated, got.ToleratedLost, err)
		}
		w.alpha.become(t, id, 1, transfer.RowReady, transfer.RowFellBack)
		w.alpha.start()
		defer w.alpha.stop()
		until(t, 10*time.Minute, "decided", func() bool {
			got, err = w.alpha.store.Transfer(t.Context(), id)
			return err == nil && (got.Paused || got.Wave > 0)
		})
		if !got.Paused {
			t.Errorf("wave %d begins although the only device of the first is lost", got.Wave+1)
		}
	})
}

// TestResumeOfSilent resumes what was paused for devices that were unheard of. When they
// have arrived after all, as many others that are lost pause again.
func TestResumeOfSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lost = 6
		w := newWorld(t, 0)
		id := w.paused(t, 2, map[transfer.RowState]int{transfer.RowOrphanRisk: lost})
		got, err := w.alpha.c.Resume(t.Context(), id, "operator:alice", "they are in a store")
		if err != nil || got.Tolerated != lost || got.ToleratedLost != lost {
			t.Fatalf("resumed: %d failed, %d lost are tolerated, %v", got.Tolerated, got.ToleratedLost, err)
		}
		w.alpha.become(t, id, lost, transfer.RowOrphanRisk, transfer.RowRevokedOld)
		w.alpha.start()
		defer w.alpha.stop()
		until(t, 10*time.Minute, "nothing is tolerated any more", func() bool {
			got, err = w.alpha.store.Transfer(t.Context(), id)
			return err == nil && got.Tolerated == 0 && got.ToleratedLost == 0
		})
		w.alpha.stop()
		w.alpha.become(t, id, lost, transfer.RowReady, transfer.RowFellBack)
		w.alpha.start()
		until(t, 10*time.Minute, "paused", func() bool {
			got, err = w.alpha.store.Transfer(t.Context(), id)
			return err == nil && got.Paused
		})
	})
}
