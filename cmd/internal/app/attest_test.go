package app_test

import (
	"crypto/ecdsa"
	"path/filepath"
	"testing"

	"steward/cmd/internal/app"
	"steward/cmd/internal/sqlite"
	"steward/est/attest"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// TestLearn: a partner tells what a device runs, and its attestation key as long as
// none is known.
func TestLearn(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	device := fleet.Factory{1}
	own, other := esttest.Key(t), esttest.Key(t)
	tell := func(key *ecdsa.PrivateKey, digest byte) {
		t.Helper()
		raw, err := attest.EncodeKey(&key.PublicKey)
		if err == nil {
			value := make([]byte, 32)
			value[0] = digest
			err = app.Learn(t.Context(), db, device, transfer.RAInfo{
				Key: raw, References: []transfer.CertHash{{Alg: transfer.SHA256, Value: value}},
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name   string
		key    *ecdsa.PrivateKey
		digest byte
		want   byte
	}{
		{"the first", own, 1, 1},
		{"other references", own, 2, 2},
		{"another key", other, 3, 2},
	} {
		tell(step.key, step.digest)
		a, err := db.Attestations().Attester(t.Context(), attest.Hash(device))
		if err != nil || !a.Key.Equal(&own.PublicKey) || a.References[0].Digest.Value[0] != step.want {
			t.Errorf("%s: %+v, %v", step.name, a, err)
		}
	}
}
