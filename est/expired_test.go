package est_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// TestGraceAfterTheEnd: a certificate that ended renews itself within the grace, and
// does nothing else; without one, or after it, or once it was revoked or renewed,
// not even that.
func TestGraceAfterTheEnd(t *testing.T) {
	const grace = 7 * 24 * time.Hour
	store := &esttest.Store{}
	clock := esttest.NewClock()
	ca, factory := esttest.NewCA(t, "Alpha", store, clock.Now), esttest.NewFactory(t, clock.Now)
	device := esttest.NewDevice(t, factory, "urn:dev:1")
	esttest.Grant(t, ca, factory, device)
	if _, err := ca.OpenRight(t.Context(), device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	key := esttest.Key(t)
	first, err := ca.Enrol(t.Context(), est.Request{Client: device.Client(), CSR: esttest.CSR(t, key, device.Endpoint)})
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{first.DER}
	identify := func(grace time.Duration, want error) est.Client {
		t.Helper()
		c, err := ca.IdentifyExpired(t.Context(), chain, grace)
		if !errors.Is(err, want) {
			t.Errorf("IdentifyExpired = %v, %v, want %v", c, err, want)
		}
		return c
	}
	identify(grace, est.ErrExpired) // it is still good: the usual door is open
	clock.Advance(first.NotAfter.Sub(clock.Now()) + time.Hour)
	if _, err := ca.Identify(t.Context(), chain); !errors.Is(err, est.ErrExpired) {
		t.Fatalf("Identify = %v, want ErrExpired", err)
	}
	identify(0, est.ErrExpired)
	who := identify(grace, nil)
	if who.Role != est.RoleExpired || who.Name != device.Endpoint {
		t.Errorf("IdentifyExpired = %+v", who)
	}
	csr := esttest.CSR(t, esttest.Key(t), device.Endpoint)
	if _, err := ca.Reenrol(t.Context(), est.Request{Client: who, CSR: csr}); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("Reenrol of one in grace = %v, want ErrForbidden", err)
	}
	operational := est.Client{Role: est.RoleOperational, Certificate: who.Certificate, Name: who.Name}
	_, err = ca.ReenrolExpired(t.Context(), est.Request{Client: operational, CSR: csr}, grace)
	if !errors.Is(err, est.ErrForbidden) {
		t.Errorf("ReenrolExpired of an operational client = %v, want ErrForbidden", err)
	}
	_, err = ca.ReenrolExpired(t.Context(), est.Request{Client: who, CSR: csr}, time.Minute)
	if !errors.Is(err, est.ErrExpired) {
		t.Errorf("ReenrolExpired after the grace = %v, want ErrExpired", err)
	}
	second, err := ca.ReenrolExpired(t.Context(), est.Request{Client: who, CSR: csr}, grace)
	if err != nil {
		t.Fatalf("ReenrolExpired = %v", err)
	}
	if c, err := ca.Identify(t.Context(), [][]byte{second.DER}); err != nil || c.Role != est.RoleOperational {
		t.Errorf("Identify of the new one = %+v, %v", c, err)
	}
	if r, err := ca.Lookup(t.Context(), first.Hash); err != nil || !r.NotAfter.Equal(first.NotAfter) {
		t.Errorf("notAfter in the inventory = %v, %v, want %v", r.NotAfter, err, first.NotAfter)
	}
	identify(grace, est.ErrRevoked)
	said := false
	for _, row := range store.Audit() {
		said = said || row.Action == "certificate.issue" && strings.Contains(row.Reason, "within the grace")
	}
	if !said {
		t.Error("the audit does not say that a grace was used")
	}
}
