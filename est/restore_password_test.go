package est_test

import (
	"errors"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// TestUsedPasswordRestored uses a one-time password up and takes the database back to
// before: it is good for nothing, though nothing was revoked meanwhile.
func TestUsedPasswordRestored(t *testing.T) {
	w := newWorld(t)
	ctx, m := t.Context(), &memo{}
	begin := func(store *esttest.Store) est.Restored {
		t.Helper()
		a := w.ca.Authorities()[0]
		w.ca = need(est.NewCA(est.Options{
			Store: store, Passwords: store, Signer: a.Signer, Issuer: a.Certificate, Parents: a.Parents, Now: w.clock.Now,
			Journal: m,
		}))(t)
		return need(w.ca.Restore(ctx))(t)
	}
	begin(w.store)
	fresh := func(name string, uses int) (est.Password, string) {
		t.Helper()
		p, secret, err := w.ca.MakePassword(ctx, est.NewPassword{Name: name, Uses: uses})
		if err != nil {
			t.Fatal(err)
		}
		return p, secret
	}
	used, usedSecret := fresh("gw-*", 2)
	unused, unusedSecret := fresh("gateway-2", 1)
	backup := w.store.Clone()
	if _, err := w.ca.EnrolByPassword(ctx, used, est.Request{CSR: esttest.CSR(t, esttest.Key(t), "gw-1")}); err != nil {
		t.Fatal(err)
	}
	if got := begin(backup); got.Withdrawn != 1 {
		t.Errorf("restored %+v, want one password withdrawn", got)
	}
	if _, err := w.ca.CheckPassword(ctx, used.ID, usedSecret); !errors.Is(err, est.ErrPassword) {
		t.Errorf("the used one: %v, want ErrPassword", err)
	}
	if _, err := w.ca.CheckPassword(ctx, unused.ID, unusedSecret); err != nil {
		t.Errorf("the other: %v", err)
	}
	if got := begin(backup); got.Withdrawn != 0 {
		t.Errorf("restored again: %+v", got)
	}
}
