package sqlite

import (
	"testing"
	"time"

	"steward/est/attest"
	"steward/est/attest/attesttest"
	"steward/lwm2m/audit"
)

func TestAttestationStore(t *testing.T) { attesttest.TestStore(t, open(t).Attestations()) }

// TestAttestationsAreTrimmed keeps the newest verdicts of each device.
func TestAttestationsAreTrimmed(t *testing.T) {
	s := open(t).Attestations()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for i := range 250 {
		r := attest.Result{Device: attest.Hash{1}, At: at.Add(time.Duration(i)), Verdict: []byte{byte(i)}, BootCount: 1}
		if i == 0 {
			r.Device = attest.Hash{2}
		}
		if err := s.AddResult(t.Context(), r, audit.Row{Actor: "a", Action: "b", Subject: "c"}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Results(t.Context(), attest.Hash{1}, 1000)
	if err != nil || len(got) != 240 || got[0].Verdict[0] != 249 {
		t.Errorf("%d results, %v", len(got), err)
	}
	if got, err := s.Results(t.Context(), attest.Hash{2}, 1000); err != nil || len(got) != 1 {
		t.Errorf("%d results of another device, %v", len(got), err)
	}
}
