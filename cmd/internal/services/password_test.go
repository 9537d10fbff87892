package services_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/web"
)

func TestOneTimePasswords(t *testing.T) {
	w := newWorld(t)
	in := web.NewOneTimePassword{Name: "gateway-*", Uses: 2, Seconds: 3600}
	made, err := w.Passwords.MakePassword(t.Context(), alice, in)
	if err != nil || made.Secret == "" || made.Left != 2 || made.CreatedBy != alice.String() {
		t.Fatalf("MakePassword = %+v, %v", made, err)
	}
	p, err := w.ca.CheckPassword(t.Context(), made.ID, made.Secret)
	if err != nil {
		t.Fatal(err)
	}
	csr := esttest.CSR(t, esttest.Key(t), "gateway-1")
	if _, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: csr}); err != nil {
		t.Fatal(err)
	}
	second, err := w.Passwords.MakePassword(t.Context(), alice, web.NewOneTimePassword{Name: "door-1"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.Passwords.ListPasswords(t.Context(), web.Page{Size: 1})
	if err != nil || len(first.Items) != 1 || first.Items[0].ID != second.ID {
		t.Fatalf("first page %+v, %v", first, err)
	}
	rest, err := w.Passwords.ListPasswords(t.Context(), web.Page{Size: 1, After: first.Next})
	if err != nil || len(rest.Items) != 1 || rest.Items[0].Left != 1 || rest.Items[0].State != web.PasswordOpen {
		t.Errorf("second page %+v, %v", rest, err)
	}
	if strings.Contains(fmt.Sprint(first, rest), made.Secret) {
		t.Error("a list shows the secret")
	}
	got, err := w.Passwords.WithdrawPassword(t.Context(), alice, second.ID)
	if err != nil || got.State != web.PasswordWithdrawn {
		t.Errorf("WithdrawPassword = %+v, %v", got, err)
	}
	w.clock.Advance(time.Hour)
	if rest, err = w.Passwords.ListPasswords(t.Context(), web.Page{Size: 1, After: first.Next}); err != nil ||
		rest.Items[0].State != web.PasswordExpired {
		t.Errorf("after its time %+v, %v", rest, err)
	}
}

func TestOneTimePasswordsRefuse(t *testing.T) {
	w := newWorld(t)
	for _, in := range []web.NewOneTimePassword{
		{},
		{Name: "*"},
		{Name: "a\x00b"},
		{Name: "x", Uses: 2},
		{Name: "x", Seconds: -1},
		{Name: "x", Seconds: 1},
		{Name: "x", Seconds: 1 << 40},
		{Name: strings.Repeat("x", 300)},
	} {
		if _, err := w.Passwords.MakePassword(t.Context(), alice, in); !errors.Is(err, web.ErrInvalid) {
			t.Errorf("MakePassword(%+.40v) = %v, want ErrInvalid", in, err)
		}
	}
	if _, err := w.Passwords.WithdrawPassword(t.Context(), alice, "nobody"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("WithdrawPassword = %v, want ErrNotFound", err)
	}
}
