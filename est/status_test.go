package est_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"steward/est"
	"steward/suit/cose"
)

// claimed verifies a statement as a device does, by the responder's certificate,
// and returns what it says.
func claimed(t *testing.T, w *world, r *est.Responder, body []byte) []any {
	t.Helper()
	m := need(cose.ParseSign1(body))(t)
	for _, der := range signers(w, r) {
		c := parsed(t, der)
		if !bytes.Equal(c.SubjectKeyId, m.KeyID()) {
			continue
		}
		var out []any
		payload := need(m.Verify(need(cose.NewVerifier(c.PublicKey))(t), nil, nil))(t)
		if err := cbor.Unmarshal(payload, &out); err != nil || len(out) != 7 {
			t.Fatalf("payload %x: %v", payload, err)
		}
		return out
	}
	t.Fatalf("no signer has the key %x", m.KeyID())
	return nil
}

// TestStatus checks compact statuses: what they say, their size, and that they are
// kept and dropped as OCSP answers are.
func TestStatus(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{})
	issued := w.issue(t, "peer.example")
	serial := parsed(t, issued.DER).SerialNumber.Bytes()
	issuer := w.issuer()
	check := func(s est.Statement, status uint64, reason any, at uint64) {
		t.Helper()
		got := claimed(t, w, r, s.Body)
		want := []any{issuer[:8], serial, status, reason, at, uint64(s.This.Unix()), uint64(s.Next.Unix())}
		for i := range want {
			a, aBytes := got[i].([]byte)
			b, bBytes := want[i].([]byte)
			if aBytes != bBytes || aBytes && !bytes.Equal(a, b) || !aBytes && got[i] != want[i] {
				t.Errorf("item %d is %v, want %v", i, got[i], want[i])
			}
		}
		if len(s.Body) > 140 {
			t.Errorf("%d bytes", len(s.Body))
		}
	}
	first := need(r.Status(t.Context(), issued.Serial))(t)
	check(first, 0, nil, 0)
	w.clock.Advance(time.Minute)
	if again := need(r.Status(t.Context(), issued.Serial))(t); !bytes.Equal(again.Body, first.Body) {
		t.Error("signed again after a minute")
	}
	if err := w.ca.Revoke(t.Context(), issued.Hash, est.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	check(need(r.Status(t.Context(), issued.Serial))(t), 1, uint64(1), uint64(w.clock.Now().Unix()))
	for _, serial := range []string{"", "0", "4A", "-1", "zz", issued.Serial + "0", string(make([]byte, 5000))} {
		if _, err := r.Status(t.Context(), serial); !errors.Is(err, est.ErrUnknown) {
			t.Errorf("Status(%.10q) = %v, want ErrUnknown", serial, err)
		}
	}
}

// signers returns the responder's certificates, that of the current authority first.
func signers(w *world, r *est.Responder) (out [][]byte) {
	for _, a := range w.ca.Authorities() {
		if der, ok := r.Signer(a.Hash()); ok {
			out = append(out, der)
		}
	}
	return out
}
