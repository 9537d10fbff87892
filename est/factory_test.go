package est_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// permanent returns a permanent CA with passwords and origins, and its store.
func permanent(t *testing.T) (*est.CA, *esttest.Store) {
	t.Helper()
	clock, store := esttest.NewClock(), &esttest.Store{}
	key := esttest.Key(t)
	profile, err := est.DefaultFactoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := est.NewRoot(est.RootOptions{Name: "Factory", Signer: key, Now: clock.Now(), Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := est.NewCA(est.Options{
		Store: store, Passwords: store, Origins: store, Signer: key, Issuer: root, Now: clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ca, store
}

func TestIssueFactory(t *testing.T) {
	ca, _ := permanent(t)
	ctx := t.Context()
	key, other := esttest.Key(t), esttest.Key(t)
	first, err := ca.IssueFactory(ctx, "d-1", key.Public(), est.OriginCA)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := ca.KeyOrigin(ctx, first.Hash); err != nil || o != est.OriginCA {
		t.Errorf("origin = %q, %v", o, err)
	}
	again, err := ca.IssueFactory(ctx, "d-1", key.Public(), est.OriginCA)
	if err != nil || again.Hash != first.Hash {
		t.Errorf("the same key again: %x, %v, want %x", again.Hash, err, first.Hash)
	}
	if _, err := ca.IssueFactory(ctx, "d-1", other.Public(), est.OriginCA); !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("another key: %v, want ErrEndpoint", err)
	}
	if err := ca.Revoke(ctx, first.Hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.IssueFactory(ctx, "d-1", key.Public(), est.OriginCA); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("a compromised key: %v, want ErrForbidden", err)
	}
	second, err := ca.IssueFactory(ctx, "d-1", other.Public(), est.OriginUnknown)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := ca.KeyOrigin(ctx, second.Hash); err != nil || o != est.OriginUnknown {
		t.Errorf("origin that nobody told = %q, %v", o, err)
	}
}

// TestFactoryRace lets two keys race for one name: one of them wins.
func TestFactoryRace(t *testing.T) {
	ca, store := permanent(t)
	const racers = 8
	var wg sync.WaitGroup
	errs := make([]error, racers)
	for i := range racers {
		key := esttest.Key(t)
		wg.Go(func() { _, errs[i] = ca.IssueFactory(t.Context(), "d", key.Public(), est.OriginDevice) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, est.ErrEndpoint) && !errors.Is(err, est.ErrConflict) {
			t.Error(err)
		}
	}
	live, err := store.Certificates(t.Context(), est.Query{Kind: est.KindFactory, Status: est.StatusValid, Name: "d"})
	if err != nil || won != 1 || len(live) != 1 {
		t.Errorf("%d won, %d live certificates, %v", won, len(live), err)
	}
}

func TestCertifyFactory(t *testing.T) {
	ca, _ := permanent(t)
	ctx := t.Context()
	key := esttest.Key(t)
	out, err := ca.CertifyFactory(ctx, esttest.CSR(t, key, "d-1"), est.OriginDevice)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := ca.KeyOrigin(ctx, out.Hash); err != nil || o != est.OriginDevice {
		t.Errorf("origin = %q, %v", o, err)
	}
	forged := esttest.CSR(t, key, "d-2")
	forged[len(forged)-1] ^= 1
	if _, err := ca.CertifyFactory(ctx, forged, est.OriginDevice); !errors.Is(err, est.ErrCSR) {
		t.Errorf("a bad signature: %v, want ErrCSR", err)
	}
}

func TestCertifyFactoryByPassword(t *testing.T) {
	ca, store := permanent(t)
	ctx := t.Context()
	p, secret, err := ca.MakePassword(ctx, est.NewPassword{Name: "line-*", Uses: 2, Lifetime: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = ca.CheckPassword(ctx, p.ID, secret); err != nil {
		t.Fatal(err)
	}
	key := esttest.Key(t)
	csr := esttest.CSR(t, key, "line-1")
	first, err := ca.CertifyFactoryByPassword(ctx, p, csr)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		csr  []byte
		err  error
	}{
		{"same request", csr, nil},
		{"same key", esttest.CSR(t, key, "line-1"), nil},
		{"another key", esttest.CSR(t, esttest.Key(t), "line-1"), est.ErrEndpoint},
		{"name that it is not for", esttest.CSR(t, esttest.Key(t), "other"), est.ErrName},
		{"garbage", []byte{1}, est.ErrCSR},
		{"last use", esttest.CSR(t, esttest.Key(t), "line-2"), nil},
		{"used up", esttest.CSR(t, esttest.Key(t), "line-3"), est.ErrForbidden},
		{"used up, same key", csr, nil},
	} {
		out, err := ca.CertifyFactoryByPassword(ctx, p, tt.csr)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if err == nil && tt.name != "last use" && out.Hash != first.Hash {
			t.Errorf("%s: another certificate", tt.name)
		}
	}
	live, err := store.Certificates(ctx, est.Query{Kind: est.KindFactory, Status: est.StatusValid})
	if err != nil || len(live) != 2 {
		t.Errorf("%d factory certificates, %v, want 2", len(live), err)
	}
}

func TestParseKeyOrigin(t *testing.T) {
	for _, text := range []string{"", "device", "provider", "ca"} {
		if o, err := est.ParseKeyOrigin(text); err != nil || string(o) != text {
			t.Errorf("%q: %q, %v", text, o, err)
		}
	}
	if _, err := est.ParseKeyOrigin("moon"); !errors.Is(err, est.ErrOrigin) {
		t.Errorf("moon: %v, want ErrOrigin", err)
	}
}
