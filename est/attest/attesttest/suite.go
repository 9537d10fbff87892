package attesttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"reflect"
	"testing"
	"time"

	"steward/est/attest"
	"steward/lwm2m/audit"
)

// TestStore checks that a new, empty Store does what its interface promises.
func TestStore(t *testing.T, s attest.Store) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 26, 12, 0, 0, 1000, time.UTC)
	a := attest.Attester{
		Device: attest.Hash{1}, Key: &key.PublicKey, At: at,
		References: []attest.Reference{
			{Component: []byte{0x81, 0x41, 0}, Digest: attest.Digest{Algorithm: -16, Value: []byte{1, 2}}},
			{Digest: attest.Digest{Algorithm: -43, Value: []byte{3}}},
		},
	}
	if _, err := s.Attester(t.Context(), a.Device); !errors.Is(err, attest.ErrUnknown) {
		t.Errorf("attester before it was put: %v", err)
	}
	row := audit.Row{Actor: "test", Action: "attestation.key", Subject: "01"}
	if err := s.PutAttester(t.Context(), a, row); err != nil {
		t.Fatal(err)
	}
	wantAttester(t, s, a)
	testResults(t, s, a, at)
	a.BootCount, a.References = 9, nil
	again := a
	again.BootCount = 0
	if err := s.PutAttester(t.Context(), again, row); err != nil {
		t.Fatal(err)
	}
	wantAttester(t, s, a) // the boot count stays
}

func testResults(t *testing.T, s attest.Store, a attest.Attester, at time.Time) {
	t.Helper()
	var want []attest.Result
	for i, boots := range []uint64{7, 9, 8} {
		r := attest.Result{
			Device: a.Device, At: at.Add(time.Duration(i) * time.Second), Tier: attest.TierAffirming, Reason: "because",
			Verdict: []byte{byte(i)}, Transfer: "t", BootCount: boots,
		}
		row := audit.Row{Actor: "test", Action: "attestation.verdict", Subject: "01", After: r.Tier.String()}
		if err := s.AddResult(t.Context(), r, row); err != nil {
			t.Fatal(err)
		}
		want = append([]attest.Result{r}, want...)
	}
	got, err := s.Results(t.Context(), a.Device, 2)
	if err != nil || !reflect.DeepEqual(got, want[:2]) {
		t.Errorf("results %+v, %v; want %+v", got, err, want[:2])
	}
	if got, err := s.Results(t.Context(), attest.Hash{2}, 2); err != nil || len(got) != 0 {
		t.Errorf("results of another device: %v, %v", got, err)
	}
	a.BootCount = 9
	wantAttester(t, s, a)
}

func wantAttester(t *testing.T, s attest.Store, want attest.Attester) {
	t.Helper()
	got, err := s.Attester(t.Context(), want.Device)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Same(&want) || got.BootCount != want.BootCount || !got.At.Equal(want.At) || got.Device != want.Device {
		t.Errorf("attester %+v, want %+v", got, want)
	}
}
