package est_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/machine"
)

// TestHandOver walks a right at the outgoing CA through hand-over and fallback:
// enrolling again revokes the certificate from before.
func TestHandOver(t *testing.T) {
	w := newWorld(t)
	old := w.enrolled(t)
	ctx, factory := t.Context(), w.device.Factory
	must(t)(w.ca.SuspendRight(ctx, factory))
	if _, err := w.renew(ctx, old, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("renew while suspended: %v, want ErrForbidden", err)
	}
	next := esttest.Key(t)
	must(t)(w.ca.ReopenRight(ctx, factory, spki(t, next)))
	if err := w.ca.Live(ctx, old.Hash, w.clock.Now()); err != nil {
		t.Errorf("old certificate before the device came back: %v", err)
	}
	if _, err := w.enrol(ctx, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("old key under the reopened right: %v, want ErrWrongKey", err)
	}
	back, err := w.enrol(ctx, esttest.CSR(t, next, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.live(t); !slices.Equal(got, []est.Hash{back.Hash}) {
		t.Errorf("live %x, want the new one alone", got)
	}
	if r, err := w.ca.ReopenRight(ctx, factory, spki(t, next)); err != nil || r.State != est.RightConsumed {
		t.Errorf("ReopenRight repeated late = %s, %v, want consumed", r.State, err)
	}
	must(t)(w.ca.DeleteRight(ctx, factory, est.CessationOfOperation))
	if got := w.live(t); len(got) > 0 {
		t.Errorf("live after deletion: %x", got)
	}
	if _, err := w.ca.Identify(ctx, [][]byte{w.device.DER}); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("factory key after deletion: %v, want ErrForbidden", err)
	}
	right, err := w.ca.GrantRight(ctx, est.Grant{FactoryDER: w.device.DER}) // it returns a year later
	if err != nil || right.State != est.RightClosed || right.Epoch != 2 || right.SPKI != (est.Hash{}) {
		t.Errorf("GrantRight = %+v, %v", right, err)
	}
}

// TestResume: a device whose commit never came stays, and renews as before. That
// takes its old key only; nobody else gets in.
func TestResume(t *testing.T) {
	w := newWorld(t)
	old := w.enrolled(t)
	ctx, factory := t.Context(), w.device.Factory
	must(t)(w.ca.SuspendRight(ctx, factory))
	right, err := w.ca.ReopenRight(ctx, factory, spki(t, w.key))
	if err != nil || right.State != est.RightConsumed {
		t.Fatalf("ReopenRight for the old key = %s, %v, want consumed", right.State, err)
	}
	if _, err := w.enrol(ctx, esttest.CSR(t, esttest.Key(t), endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("enrol another key: %v, want ErrWrongKey", err)
	}
	if _, err := w.renew(ctx, old, esttest.CSR(t, esttest.Key(t), endpoint)); err != nil {
		t.Errorf("renew: %v", err)
	}
}

func TestNotedKey(t *testing.T) {
	w := newWorld(t)
	ctx, factory := t.Context(), w.device.Factory
	other := esttest.Key(t)
	must(t)(w.ca.NoteSPKI(ctx, factory, spki(t, other))) // an earlier READY that expired
	must(t)(w.ca.NoteSPKI(ctx, factory, spki(t, w.key)))
	if _, err := w.ca.OpenRight(ctx, factory, spki(t, other)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("OpenRight for another key: %v, want ErrWrongKey", err)
	}
	w.open(t, nil)
	if _, err := w.enrol(ctx, esttest.CSR(t, other, endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("enrol another key: %v, want ErrWrongKey", err)
	}
	out, err := w.enrol(ctx, esttest.CSR(t, w.key, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	status, err := w.ca.RightStatus(ctx, factory)
	if err != nil || status.State != est.RightConsumed || status.SPKI != spki(t, w.key) || status.Issued != out.Hash {
		t.Errorf("RightStatus = %+v, %v", status, err)
	}
	must(t)(w.ca.NoteSPKI(ctx, factory, spki(t, w.key))) // repeated late, both
	must(t)(w.ca.OpenRight(ctx, factory, spki(t, w.key)))
	for name, err := range map[string]error{
		"NoteSPKI":  second(w.ca.NoteSPKI(ctx, factory, spki(t, other))),
		"OpenRight": second(w.ca.OpenRight(ctx, factory, spki(t, other))),
	} {
		if !errors.Is(err, est.ErrWrongKey) {
			t.Errorf("%s of a consumed right: %v, want ErrWrongKey", name, err)
		}
	}
	if r, err := w.ca.Right(ctx, factory); err != nil || r.State != est.RightConsumed {
		t.Errorf("right is %s, %v, want consumed", r.State, err)
	}
}

func TestRightStatusOfNone(t *testing.T) {
	w := newWorld(t)
	got, err := w.ca.RightStatus(t.Context(), est.Hash{1})
	if err != nil || got.State != est.RightClosed || got.Issuer != "Alpha CA" {
		t.Errorf("RightStatus = %+v, %v", got, err)
	}
}

func TestGrantRightRefuses(t *testing.T) {
	w := newWorld(t)
	stranger, other := esttest.NewFactory(t, w.clock.Now), esttest.NewFactory(t, w.clock.Now)
	if err := w.ca.TrustFactoryCA(t.Context(), other.Root().Raw); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   est.Grant
		err  error
	}{
		{"no certificate", est.Grant{}, est.ErrFactory},
		{"CA that is not listed", est.Grant{FactoryDER: esttest.NewDevice(t, stranger, "d").DER}, est.ErrFactory},
		{"a CA", est.Grant{FactoryDER: w.factory.Root().Raw}, est.ErrFactory},
		{"name of another", est.Grant{FactoryDER: w.device.DER, Endpoint: "other"}, est.ErrName},
		{"hash of another", est.Grant{FactoryDER: w.device.DER, Factory: est.Hash{1}}, est.ErrName},
		{"endpoint in use", est.Grant{FactoryDER: esttest.NewDevice(t, other, endpoint).DER}, est.ErrEndpoint},
		{"bad intermediate", est.Grant{FactoryDER: w.device.DER, Intermediates: [][]byte{{1}}}, est.ErrFactory},
		{"again", est.Grant{FactoryDER: w.device.DER, Endpoint: endpoint, Factory: w.device.Factory}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := w.ca.GrantRight(t.Context(), tt.in); !errors.Is(err, tt.err) {
				t.Errorf("GrantRight = %v, want %v", err, tt.err)
			}
		})
	}
	w.open(t, nil)
	if _, err := w.ca.GrantRight(t.Context(), est.Grant{FactoryDER: w.device.DER}); !errors.Is(err, machine.ErrNoRow) {
		t.Errorf("GrantRight of an open right = %v, want ErrNoRow", err)
	}
	for _, der := range [][]byte{nil, w.device.DER, w.ca.Root().Raw} {
		if err := w.ca.TrustFactoryCA(t.Context(), der); !errors.Is(err, est.ErrFactory) {
			t.Errorf("TrustFactoryCA = %v, want ErrFactory", err)
		}
	}
}

// TestRememberedChain: a chain that was verified before is good as long as all of it
// is valid, and no other is because of it.
func TestRememberedChain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	leaf, err := x509.ParseCertificate(w.device.DER)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(leaf *x509.Certificate, intermediates ...[]byte) error {
		return w.ca.VerifyFactory(ctx, leaf, intermediates)
	}
	for range 2 {
		if err := verify(leaf); err != nil {
			t.Errorf("VerifyFactory = %v", err)
		}
	}
	if err := verify(leaf, []byte{1}); !errors.Is(err, est.ErrFactory) {
		t.Errorf("VerifyFactory with a bad intermediate = %v, want ErrFactory", err)
	}
	stranger := esttest.NewDevice(t, esttest.NewFactory(t, w.clock.Now), endpoint)
	other, err := x509.ParseCertificate(stranger.DER)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(other); !errors.Is(err, est.ErrFactory) {
		t.Errorf("VerifyFactory of a stranger = %v, want ErrFactory", err)
	}
	w.clock.Advance(leaf.NotBefore.Sub(w.clock.Now()) - time.Second)
	if err := verify(leaf); !errors.Is(err, est.ErrFactory) {
		t.Errorf("VerifyFactory before its time = %v, want ErrFactory", err)
	}
}

// TestDelistedFactoryCA: what is taken off the list admits nobody any more.
func TestDelistedFactoryCA(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if c, err := w.ca.Identify(ctx, [][]byte{w.device.DER}); err != nil || c != w.device.Client() {
		t.Errorf("Identify = %+v, %v", c, err)
	}
	if err := w.ca.Revoke(ctx, sha256.Sum256(w.factory.Root().Raw), est.CACompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ca.Identify(ctx, [][]byte{w.device.DER}); !errors.Is(err, est.ErrFactory) {
		t.Errorf("Identify = %v, want ErrFactory", err)
	}
	if err := w.ca.TrustFactoryCA(ctx, w.factory.Root().Raw); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("TrustFactoryCA = %v, want ErrRevoked", err)
	}
	if _, err := w.ca.Identify(ctx, [][]byte{w.device.DER}); !errors.Is(err, est.ErrFactory) {
		t.Errorf("a revoked factory CA came back: %v", err)
	}
}

// TestConflictEnds: a store that always conflicts ends the call, it does not hang.
func TestConflictEnds(t *testing.T) {
	w := newWorld(t)
	w.open(t, nil)
	stubborn := esttest.NewCA(t, "Alpha", &conflicting{Store: w.store}, w.clock.Now)
	_, err := stubborn.Enrol(t.Context(), est.Request{Client: w.device.Client(), CSR: esttest.CSR(t, w.key, endpoint)})
	if !errors.Is(err, est.ErrConflict) {
		t.Errorf("Enrol = %v, want ErrConflict", err)
	}
}

// conflicting refuses every change of a right.
type conflicting struct{ est.Store }

func (c *conflicting) Commit(ctx context.Context, ch est.Change) error {
	if ch.Right != nil {
		return fmt.Errorf("%w: always", est.ErrConflict)
	}
	return c.Store.Commit(ctx, ch)
}
