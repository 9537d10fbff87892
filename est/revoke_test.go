package est_test

import (
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

func TestIdentify(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	out := w.enrolled(t)
	want := est.Client{
		Role: est.RoleOperational, Certificate: out.Hash, Factory: w.device.Factory, Name: endpoint,
	}
	if got, err := w.ca.Identify(ctx, [][]byte{out.DER, out.Chain[0]}); err != nil || got != want {
		t.Errorf("Identify = %+v, %v", got, err)
	}
	if got, err := w.ca.Identify(ctx, [][]byte{w.device.DER}); err != nil || got != w.device.Client() {
		t.Errorf("Identify = %+v, %v", got, err)
	}
	server, err := w.ca.IssueServer(ctx, "alpha.example", esttest.Key(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, chain := range map[string][][]byte{
		"nothing": nil, "garbage": {{1, 2}}, "our own server": {server.DER}, "our own CA": {out.Chain[0]},
		"device that is not registered": {esttest.NewDevice(t, w.factory, "urn:other").DER},
	} {
		if _, err := w.ca.Identify(ctx, chain); !errors.Is(err, est.ErrUnknown) {
			t.Errorf("%s: Identify = %v, want ErrUnknown", name, err)
		}
	}
	w.clock.Advance(366 * 24 * time.Hour)
	if _, err := w.ca.Identify(ctx, [][]byte{out.DER}); !errors.Is(err, est.ErrExpired) {
		t.Errorf("Identify = %v, want ErrExpired", err)
	}
}

// TestRenew: the old certificate lives until the new one is used (transfer
// protocol §1.8).
func TestRenew(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	old := w.enrolled(t)
	next := esttest.Key(t)
	csr := esttest.CSR(t, next, endpoint)
	fresh, err := w.renew(ctx, old, csr)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.renew(ctx, old, csr); err != nil || again.Hash != fresh.Hash {
		t.Errorf("same request: %x, %v, want %x", again.Hash, err, fresh.Hash)
	}
	if got := w.live(t); !slices.Equal(got, []est.Hash{fresh.Hash, old.Hash}) {
		t.Errorf("live %x, want both", got)
	}
	if _, err := w.enrol(ctx, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("enrol the old key after renewal: %v, want ErrWrongKey", err)
	}
	for range 2 { // the second use changes nothing
		if _, err := w.ca.Identify(ctx, [][]byte{fresh.DER}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.live(t); !slices.Equal(got, []est.Hash{fresh.Hash}) {
		t.Errorf("live %x, want the new one alone", got)
	}
	if _, err := w.renew(ctx, old, csr); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("renew by the old one: %v, want ErrRevoked", err)
	}
}

func TestRenewOverlapEnds(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	old := w.enrolled(t)
	lost, err := w.renew(ctx, old, esttest.CSR(t, esttest.Key(t), endpoint))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := w.renew(ctx, old, esttest.CSR(t, esttest.Key(t), endpoint)) // the answer was lost, and the key
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Live(ctx, lost.Hash, w.clock.Now()); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("renewal that was renewed: %v, want ErrRevoked", err)
	}
	w.clock.Advance(est.RekeyOverlap - time.Second)
	if n, err := w.ca.Sweep(ctx); n != 0 || err != nil || len(w.live(t)) != 2 {
		t.Errorf("Sweep = %d, %v before the time", n, err)
	}
	w.clock.Advance(time.Second)
	if got := w.live(t); !slices.Equal(got, []est.Hash{fresh.Hash}) {
		t.Errorf("live %x, want the new one alone", got)
	}
	if n, err := w.ca.Sweep(ctx); n != 1 || err != nil {
		t.Errorf("Sweep = %d, %v, want 1", n, err)
	}
	if r, err := w.ca.Lookup(ctx, old.Hash); err != nil || r.Status != est.StatusRevoked || r.Reason != est.Superseded {
		t.Errorf("old: %s %s, %v", r.Status, r.Reason, err)
	}
}

func TestRenewRefuses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	old := w.enrolled(t)
	good := esttest.CSR(t, w.key, endpoint)
	client := est.Client{Role: est.RoleOperational, Certificate: old.Hash, Name: endpoint}
	tests := []struct {
		name string
		in   est.Request
		err  error
	}{
		{"by the factory certificate", est.Request{Client: w.device.Client(), CSR: good}, est.ErrForbidden},
		{"by a certificate of nobody", est.Request{
			Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}}, CSR: good,
		}, est.ErrForbidden},
		{"other name", est.Request{Client: client, CSR: esttest.CSR(t, w.key, "urn:other")}, est.ErrName},
		{"new subjectAltName", est.Request{Client: client, CSR: request(t, w.key, x509.CertificateRequest{
			Subject: subjectOf(endpoint), DNSNames: []string{"x"},
		})}, est.ErrName},
		{"garbage", est.Request{Client: client, CSR: []byte{0x30}}, est.ErrCSR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := w.ca.Reenrol(ctx, tt.in); !errors.Is(err, tt.err) {
				t.Errorf("Reenrol = %v, want %v", err, tt.err)
			}
		})
	}
	w.clock.Advance(366 * 24 * time.Hour)
	if _, err := w.ca.Reenrol(ctx, est.Request{Client: client, CSR: good}); !errors.Is(err, est.ErrExpired) {
		t.Errorf("Reenrol = %v, want ErrExpired", err)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	out := w.enrolled(t)
	if err := w.ca.Revoke(ctx, out.Hash, "removeFromCRL", ""); !errors.Is(err, est.ErrReason) {
		t.Errorf("Revoke = %v, want ErrReason", err)
	}
	if err := w.ca.Revoke(ctx, est.Hash{1}, est.KeyCompromise, ""); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Revoke = %v, want ErrUnknown", err)
	}
	if err := w.ca.As("operator:anna").Revoke(ctx, out.Hash, est.KeyCompromise, "lost at sea"); err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Revoke(ctx, out.Hash, est.Superseded, "again"); err != nil {
		t.Errorf("second Revoke = %v", err)
	}
	r, err := w.ca.Lookup(ctx, out.Hash)
	if err != nil || r.Reason != est.KeyCompromise || r.Why != "lost at sea" {
		t.Errorf("record %+v, %v", r, err)
	}
	rows := w.store.Audit()
	if last := rows[len(rows)-1]; last.Actor != "operator:anna" || last.Action != "certificate.revoke" {
		t.Errorf("audit %+v", last)
	}
	for name, err := range map[string]error{
		"Live": w.ca.Live(ctx, out.Hash, w.clock.Now()), "Identify": second(w.ca.Identify(ctx, [][]byte{out.DER})),
		"Reenrol": second(w.renew(ctx, out, esttest.CSR(t, w.key, endpoint))),
	} {
		if !errors.Is(err, est.ErrRevoked) {
			t.Errorf("%s = %v, want ErrRevoked", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestRevokedIsTold(t *testing.T) {
	clock := esttest.NewClock()
	key := esttest.Key(t)
	root, err := est.NewRoot(est.RootOptions{Name: "R", Signer: key, Now: clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var told []est.Hash
	ca, err := est.NewCA(est.Options{
		Store: &esttest.Store{}, Signer: key, Issuer: root, Now: clock.Now,
		Revoked: func(h est.Hash) { told = append(told, h) },
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := ca.IssueServer(t.Context(), "alpha.example", esttest.Key(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Revoke(t.Context(), out.Hash, est.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []est.Hash{out.Hash}) {
		t.Errorf("told %x, want %x", told, out.Hash)
	}
}

func TestCRL(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	out := w.enrolled(t)
	must(t)(w.ca.DeleteRight(ctx, w.device.Factory, est.CessationOfOperation))
	scope := est.CRLScope{Issuer: w.ca.Authorities()[0].Hash()}
	made, err := w.ca.CRL(ctx, scope, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(made.DER)
	if err != nil {
		t.Fatal(err)
	}
	if err := crl.CheckSignatureFrom(w.ca.Certificate()); err != nil {
		t.Error(err)
	}
	serial, _ := new(big.Int).SetString(out.Serial, 16)
	entries := crl.RevokedCertificateEntries
	if len(entries) != 1 || entries[0].SerialNumber.Cmp(serial) != 0 || entries[0].ReasonCode != 5 {
		t.Errorf("entries %+v, want serial %s for cessationOfOperation", entries, out.Serial)
	}
	if got := crl.NextUpdate.Sub(crl.ThisUpdate); got != time.Hour {
		t.Errorf("valid for %v, want an hour", got)
	}
	if _, err := w.ca.CRL(ctx, scope, 0); !errors.Is(err, est.ErrOptions) {
		t.Errorf("CRL = %v, want ErrOptions", err)
	}
	w.clock.Advance(366 * 24 * time.Hour) // what has expired needs no mention
	if made, err = w.ca.CRL(ctx, scope, time.Hour); err != nil {
		t.Fatal(err)
	}
	if later, err := x509.ParseRevocationList(made.DER); err != nil || len(later.RevokedCertificateEntries) != 0 ||
		later.Number.Cmp(crl.Number) <= 0 {
		t.Errorf("later CRL %+v, %v", later, err)
	}
}
