package est_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

const gateway = "gateway-17"

// password makes a one-time password, which must be possible.
func (w *world) password(t *testing.T, n est.NewPassword) (est.Password, string) {
	t.Helper()
	p, secret, err := w.ca.As("operator:ann").MakePassword(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return p, secret
}

// byName returns how many certificates of a name are good now.
func (w *world) byName(t *testing.T, name string) (live int) {
	t.Helper()
	records, err := w.store.Certificates(t.Context(), est.Query{Kind: est.KindOperational, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Live(w.clock.Now()) == nil {
			live++
		}
	}
	return live
}

func TestMakePassword(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name string
		in   est.NewPassword
		err  error
	}{
		{"one name", est.NewPassword{Name: gateway}, nil},
		{"a pattern", est.NewPassword{Name: "gateway-*", Uses: 100, Lifetime: time.Hour}, nil},
		{"a pattern for one", est.NewPassword{Name: "*-gateway"}, nil},
		{"no name", est.NewPassword{}, est.ErrPasswordOptions},
		{"a long name", est.NewPassword{Name: strings.Repeat("x", 65)}, est.ErrPasswordOptions},
		{"a name of two lines", est.NewPassword{Name: "a\nb"}, est.ErrPasswordOptions},
		{"everybody", est.NewPassword{Name: "*"}, est.ErrPasswordOptions},
		{"nearly everybody", est.NewPassword{Name: "a*b"}, est.ErrPasswordOptions},
		{"two stars", est.NewPassword{Name: "gate*way-*"}, est.ErrPasswordOptions},
		{"one name twice", est.NewPassword{Name: gateway, Uses: 2}, est.ErrPasswordOptions},
		{"no uses", est.NewPassword{Name: "gateway-*", Uses: -1}, est.ErrPasswordOptions},
		{"too many uses", est.NewPassword{Name: "gateway-*", Uses: 10_001}, est.ErrPasswordOptions},
		{"too long", est.NewPassword{Name: gateway, Lifetime: 31 * 24 * time.Hour}, est.ErrPasswordOptions},
		{"too short", est.NewPassword{Name: gateway, Lifetime: time.Second}, est.ErrPasswordOptions},
	} {
		p, secret, err := w.ca.MakePassword(t.Context(), tt.in)
		if !errors.Is(err, tt.err) || err == nil && (len(secret) < 26 || p.ID == "" || p.State != est.PasswordOpen) {
			t.Errorf("%s: MakePassword = %+v, %v, want %v", tt.name, p, err, tt.err)
		}
		if err == nil && strings.Contains(fmt.Sprintf("%v %+v", w.store.Audit(), p), secret) {
			t.Errorf("%s: the secret stands somewhere", tt.name)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	w := newWorld(t)
	p, secret := w.password(t, est.NewPassword{Name: gateway, Lifetime: time.Hour})
	gone, secretOfGone := w.password(t, est.NewPassword{Name: gateway})
	if _, err := w.ca.WithdrawPassword(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, user, secret string
		err                error
	}{
		{"right", p.ID, secret, nil},
		{"another secret", p.ID, secret + "x", est.ErrPassword},
		{"no secret", p.ID, "", est.ErrPassword},
		{"unknown user", "nobody", secret, est.ErrPassword},
		{"no user", "", "", est.ErrPassword},
		{"withdrawn", gone.ID, secretOfGone, est.ErrPassword},
	} {
		if _, err := w.ca.CheckPassword(t.Context(), tt.user, tt.secret); !errors.Is(err, tt.err) {
			t.Errorf("%s: CheckPassword = %v, want %v", tt.name, err, tt.err)
		}
	}
	w.clock.Advance(time.Hour)
	if _, err := w.ca.CheckPassword(t.Context(), p.ID, secret); !errors.Is(err, est.ErrPassword) {
		t.Errorf("after its time: CheckPassword = %v, want ErrPassword", err)
	}
}

func TestEnrolByPassword(t *testing.T) {
	w := newWorld(t)
	p, _ := w.password(t, est.NewPassword{Name: gateway})
	csr := esttest.CSR(t, w.key, gateway)
	out, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: csr})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(out.DER)
	if err != nil || cert.Subject.CommonName != gateway || !w.key.PublicKey.Equal(cert.PublicKey) {
		t.Fatalf("issued %v, %v", cert.Subject, err)
	}
	again, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: csr})
	if err != nil || again.Hash != out.Hash {
		t.Errorf("the same request again = %x, %v, want the same certificate", again.Hash, err)
	}
	anew, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: esttest.CSR(t, w.key, gateway)})
	if err != nil || anew.Hash == out.Hash || w.byName(t, gateway) != 1 {
		t.Errorf("the same key in another request = %x, %v, %d live", anew.Hash, err, w.byName(t, gateway))
	}
	out = anew
	_, err = w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: esttest.CSR(t, esttest.Key(t), gateway)})
	if !errors.Is(err, est.ErrForbidden) {
		t.Errorf("another request with a used password = %v, want ErrForbidden", err)
	}
	stored, err := w.store.Password(t.Context(), p.ID)
	if err != nil || stored.State != est.PasswordUsed || stored.Left != 0 {
		t.Errorf("password = %+v, %v", stored, err)
	}
	who, err := w.ca.Identify(t.Context(), [][]byte{out.DER})
	if err != nil || who.Role != est.RoleOperational || who.Name != gateway {
		t.Errorf("Identify = %+v, %v", who, err)
	}
	want := "password.make certificate.issue password.use certificate.revoke certificate.issue certificate.enrol.refuse"
	if got := w.actions(); !strings.HasSuffix(got, want) {
		t.Errorf("audit: %s", got)
	}
	renewed, err := w.ca.Reenrol(t.Context(), est.Request{Client: who, CSR: esttest.CSR(t, w.key, gateway)})
	if err != nil || renewed.Hash == out.Hash {
		t.Errorf("Reenrol = %x, %v", renewed.Hash, err)
	}
}

func TestEnrolByPasswordRefuses(t *testing.T) {
	w := newWorld(t)
	one, _ := w.password(t, est.NewPassword{Name: gateway})
	many, _ := w.password(t, est.NewPassword{Name: "gateway-*", Uses: 5})
	device, _ := w.password(t, est.NewPassword{Name: endpoint})
	for _, tt := range []struct {
		name string
		with est.Password
		csr  []byte
		err  error
	}{
		{"another name", one, esttest.CSR(t, w.key, "gateway-18"), est.ErrName},
		{"outside the pattern", many, esttest.CSR(t, w.key, "gate"), est.ErrName},
		{"nothing for the *", many, esttest.CSR(t, w.key, "gateway-"), est.ErrName},
		{"the name of a device with a right", device, esttest.CSR(t, w.key, endpoint), est.ErrEndpoint},
		{"no request", one, []byte{0x30}, est.ErrCSR},
		{"an oversized request", one, make([]byte, est.MaxCSR+1), est.ErrCSRSize},
		{"an unknown password", est.Password{ID: "x"}, esttest.CSR(t, w.key, gateway), est.ErrUnknown},
	} {
		rows := len(w.store.Audit())
		if _, err := w.ca.EnrolByPassword(t.Context(), tt.with, est.Request{CSR: tt.csr}); !errors.Is(err, tt.err) {
			t.Errorf("%s: EnrolByPassword = %v, want %v", tt.name, err, tt.err)
		}
		if tt.with.Name != "" && len(w.store.Audit()) != rows+1 {
			t.Errorf("%s: %d audit rows, want one", tt.name, len(w.store.Audit())-rows)
		}
	}
	if w.byName(t, gateway)+w.byName(t, endpoint) > 0 {
		t.Error("a certificate was issued")
	}
}

// TestPasswordTakesOver: a password for one name replaces what the name had, a
// pattern does not.
func TestPasswordTakesOver(t *testing.T) {
	w := newWorld(t)
	many, _ := w.password(t, est.NewPassword{Name: "gateway-*", Uses: 2})
	first, err := w.ca.EnrolByPassword(t.Context(), many, est.Request{CSR: esttest.CSR(t, w.key, gateway)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ca.EnrolByPassword(t.Context(), many, est.Request{CSR: esttest.CSR(t, esttest.Key(t), gateway)})
	if !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("by the pattern again = %v, want ErrEndpoint", err)
	}
	other := est.Request{CSR: esttest.CSR(t, w.key, "gateway-2")}
	if _, err := w.ca.EnrolByPassword(t.Context(), many, other); err != nil {
		t.Errorf("another name of the pattern: %v", err)
	}
	_, err = w.ca.EnrolByPassword(t.Context(), many, est.Request{CSR: esttest.CSR(t, w.key, "gateway-3")})
	if !errors.Is(err, est.ErrForbidden) {
		t.Errorf("a third name of two = %v, want ErrForbidden", err)
	}
	one, _ := w.password(t, est.NewPassword{Name: gateway})
	second, err := w.ca.EnrolByPassword(t.Context(), one, est.Request{CSR: esttest.CSR(t, esttest.Key(t), gateway)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Live(t.Context(), first.Hash, w.clock.Now()); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("the certificate before = %v, want ErrRevoked", err)
	}
	if err := w.ca.Live(t.Context(), second.Hash, w.clock.Now()); err != nil {
		t.Errorf("the new certificate: %v", err)
	}
}

// TestPasswordRace: whoever comes at once with one password, or with two for one
// name, one certificate is good afterwards.
func TestPasswordRace(t *testing.T) {
	w := newWorld(t)
	a, _ := w.password(t, est.NewPassword{Name: gateway})
	b, _ := w.password(t, est.NewPassword{Name: gateway})
	var wg sync.WaitGroup
	for i := range 8 {
		csr, p := esttest.CSR(t, esttest.Key(t), gateway), a
		if i%2 == 1 {
			p = b
		}
		wg.Go(func() {
			_, err := w.ca.EnrolByPassword(context.Background(), p, est.Request{CSR: csr})
			if err != nil && !errors.Is(err, est.ErrForbidden) && !errors.Is(err, est.ErrConflict) {
				t.Errorf("EnrolByPassword = %v", err)
			}
		})
	}
	wg.Wait()
	if live := w.byName(t, gateway); live != 1 {
		t.Errorf("%d live certificates, want 1", live)
	}
}

// A cut store fails one Commit, before or after it is done.
type cut struct {
	*esttest.Store

	fail, n int
	after   bool
}

func (c *cut) Commit(ctx context.Context, ch est.Change) error {
	n := c.n
	c.n++
	if n == c.fail && !c.after {
		return errCrash
	}
	if err := c.Store.Commit(ctx, ch); err != nil || n != c.fail {
		return err
	}
	return errCrash
}

func TestPasswordCrash(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t)
		store := &cut{Store: w.store, fail: -1, after: after}
		w.ca = esttest.NewCA(t, "Alpha", store, w.clock.Now)
		p, _ := w.password(t, est.NewPassword{Name: gateway})
		store.fail, store.n = 0, 0
		csr := esttest.CSR(t, w.key, gateway)
		if _, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: csr}); !errors.Is(err, errCrash) {
			t.Fatalf("EnrolByPassword = %v, want a crash", err)
		}
		if _, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: csr}); err != nil {
			t.Errorf("after the crash: %v", err)
		}
		if live := w.byName(t, gateway); live != 1 {
			t.Errorf("%d live certificates, want 1", live)
		}
	}
}

// TestRightOfTakenName: a device is not let in under the name of a gateway.
func TestRightOfTakenName(t *testing.T) {
	w := newWorld(t)
	p, _ := w.password(t, est.NewPassword{Name: gateway})
	out, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: esttest.CSR(t, w.key, gateway)})
	if err != nil {
		t.Fatal(err)
	}
	device := esttest.NewDevice(t, w.factory, gateway)
	if _, err := w.ca.GrantRight(t.Context(), est.Grant{FactoryDER: device.DER}); !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("GrantRight = %v, want ErrEndpoint", err)
	}
	if err := w.ca.Revoke(t.Context(), out.Hash, est.CessationOfOperation, "replaced"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ca.GrantRight(t.Context(), est.Grant{FactoryDER: device.DER}); err != nil {
		t.Errorf("GrantRight = %v", err)
	}
}

func TestWithdrawPasswords(t *testing.T) {
	w := newWorld(t)
	p, secret := w.password(t, est.NewPassword{Name: gateway})
	used, _ := w.password(t, est.NewPassword{Name: "gateway-2"})
	csr := esttest.CSR(t, w.key, "gateway-2")
	if _, err := w.ca.EnrolByPassword(t.Context(), used, est.Request{CSR: csr}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.ca.WithdrawPasswords(t.Context()); err != nil || n != 1 {
		t.Errorf("WithdrawPasswords = %d, %v, want 1", n, err)
	}
	if _, err := w.ca.CheckPassword(t.Context(), p.ID, secret); !errors.Is(err, est.ErrPassword) {
		t.Errorf("CheckPassword = %v, want ErrPassword", err)
	}
}

// TestRenewalsAreRationed: who enrolled by a password has a share of certificates too.
func TestRenewalsAreRationed(t *testing.T) {
	w := newWorld(t)
	w.ca = esttest.NewCA(t, "Alpha", w.store, w.clock.Now, func(o *est.Options) { o.Limits = est.Limits{PerDay: 2} })
	p, _ := w.password(t, est.NewPassword{Name: gateway})
	out, err := w.ca.EnrolByPassword(t.Context(), p, est.Request{CSR: esttest.CSR(t, w.key, gateway)})
	if err != nil {
		t.Fatal(err)
	}
	renew := func(old est.Issued) (est.Issued, error) {
		return w.ca.Reenrol(t.Context(), est.Request{
			Client: est.Client{Role: est.RoleOperational, Certificate: old.Hash, Name: gateway},
			CSR:    esttest.CSR(t, w.key, gateway),
		})
	}
	if out, err = renew(out); err != nil {
		t.Fatal(err)
	}
	if _, err := renew(out); !errors.Is(err, est.ErrLimit) {
		t.Errorf("a third certificate in a day = %v, want ErrLimit", err)
	}
}
