package coordinator_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// between hands all devices over from one provider to another.
func (w *world) between(t *testing.T, from, to *provider) (record []byte) {
	t.Helper()
	ids := []fleet.ID{}
	for _, d := range w.devices {
		ids = append(ids, d.id(from))
	}
	draft, err := from.coordinator().Draft(t.Context(), coordinator.Draft{
		Partner: from.partner(t, to).ID, Devices: ids, Actor: "operator:alice",
		Window: transfer.NewWindow(time.Time{}, time.Now().Add(time.Hour)),
	})
	check(t, err)
	_, err = from.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
	check(t, err)
	w.approve(t, to, draft.ID, transfer.BatchInfoAccepted)
	w.approve(t, from, draft.ID, transfer.BatchOffered)
	until(t, 10*time.Minute, to.name+" has them", func() bool {
		return from.states(t, draft.ID)[transfer.RowRevokedOld] == len(w.devices)
	})
	_, record = from.record(t, draft.ID)
	_, other := to.record(t, draft.ID)
	both, err := transfer.CheckChain([][]byte{record, other}, nil)
	check(t, err)
	if len(both.Custody) != len(w.devices) || len(both.Custody[0].Hops) != 1 {
		t.Errorf("both records of one hand-over: %+v", both.Custody)
	}
	return record
}

// TestChain: devices go from Alpha to Beta to Gamma, and back to Alpha. The records prove
// it together, and show what is missing.
func TestChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.gamma = newProvider(t, w, "Gamma")
		w.gamma.open(t)
		for _, pair := range [][2]*provider{{w.beta, w.gamma}, {w.gamma, w.beta}, {w.gamma, w.alpha}, {w.alpha, w.gamma}} {
			pair[0].pin(t, pair[1])
		}
		w.start(t)
		w.gamma.start()
		t.Cleanup(w.gamma.stop)
		first, second := w.between(t, w.alpha, w.beta), w.between(t, w.beta, w.gamma)
		third := w.between(t, w.gamma, w.alpha)
		w.between(t, w.alpha, w.beta)
		forged, err := transfer.ParseRecord(w.between(t, w.beta, w.gamma))
		check(t, err)
		for i := range forged.Devices { // Beta hides where it had them from
			forged.Devices[i].Came = nil
		}
		fifth, err := forged.Sign(w.beta.signer)
		check(t, err)
		for name, tt := range map[string]struct {
			records [][]byte
			why     string
		}{
			"all":              {[][]byte{first, second, third}, ""},
			"in another order": {[][]byte{third, first, second}, ""},
			"the first two":    {[][]byte{first, second}, ""},
			"the middle left":  {[][]byte{first, third}, "Gamma gave it, while Beta had it"},
			"the first left":   {[][]byte{second, third}, "by which it had come to Beta is missing"},
			"a way round left": {[][]byte{first, fifth}, "is not said, and its epoch"},
			"the last alone":   {[][]byte{third, third}, "by which it had come to Gamma is missing"},
		} {
			report, err := transfer.CheckChain(tt.records, nil)
			check(t, err)
			if report.Proved != (tt.why == "") || len(report.Custody) != 2 ||
				!strings.Contains(report.Custody[0].Why, tt.why) {
				t.Errorf("%s: proved %t, %+v, want %q", name, report.Proved, report.Custody, tt.why)
			}
			if name == "all" && report.Custody[0].Names() != "Alpha → Beta → Gamma → Alpha" {
				t.Errorf("custody: %s", report.Custody[0].Names())
			}
		}
		if _, err := transfer.CheckChain([][]byte{first, {1}}, nil); err == nil {
			t.Error("CheckChain of what is no record: no error")
		}
	})
}
