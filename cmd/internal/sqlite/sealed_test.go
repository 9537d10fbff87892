package sqlite

import (
	"errors"
	"reflect"
	"testing"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

// TestSealedEnvelope gives a device what is made for it: of the same release and key the
// first, of others the last.
func TestSealedEnvelope(t *testing.T) {
	db := withDevices(t, "a", "b")
	s := db.Rollout()
	made := func(device fleet.ID, release string, key, content byte) rollout.SealedEnvelope {
		d, err := suit.Sum(suit.SHA256, []byte{content})
		if err != nil {
			t.Fatal(err)
		}
		return rollout.SealedEnvelope{
			Device: device, Release: release, Key: [32]byte{key}, Manifest: d, Envelope: []byte{content},
		}
	}
	first, again := made("a", "R", 1, 1), made("a", "R", 1, 2)
	otherKey, otherRelease := made("a", "R", 2, 3), made("a", "S", 2, 4)
	for i, step := range []struct{ put, want rollout.SealedEnvelope }{
		{first, first},
		{again, first},
		{otherKey, otherKey},
		{otherRelease, otherRelease},
		{made("b", "R", 1, 5), made("b", "R", 1, 5)},
	} {
		got, err := s.PutSealedEnvelope(t.Context(), step.put, "device:a")
		if err != nil || !reflect.DeepEqual(got, step.want) {
			t.Errorf("step %d: PutSealedEnvelope = %+v, %v, want %+v", i, got, err, step.want)
		}
		if got, err := s.SealedEnvelope(t.Context(), step.put.Device); err != nil || !reflect.DeepEqual(got, step.want) {
			t.Errorf("step %d: SealedEnvelope = %+v, %v", i, got, err)
		}
	}
	if _, err := s.SealedEnvelope(t.Context(), "c"); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("SealedEnvelope of nobody = %v, want ErrUnknown", err)
	}
	rows, err := db.AuditBefore(t.Context(), "a", 0, 10)
	seals := 0
	for _, r := range rows {
		if r.Action == "update.seal" {
			seals++
		}
	}
	if err != nil || seals != 3 {
		t.Errorf("%d rows of the audit, %v, want 3", seals, err)
	}
}
