package esthttp_test

import (
	"net/http"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// TestRights asks every function as everybody.
func TestRights(t *testing.T) {
	type row struct{ cacerts, attrs, enrol, reenrol, keygen int }
	functions := func(r row) map[string]int {
		return map[string]int{
			"cacerts": r.cacerts, "csrattrs": r.attrs, "simpleenroll": r.enrol, "simplereenroll": r.reenrol,
			"serverkeygen": r.keygen,
		}
	}
	for _, tt := range []struct {
		name string
		who  func(t *testing.T, w *world, a *ask)
		want row
	}{
		{"nobody", func(*testing.T, *world, *ask) {}, row{200, 200, 401, 401, 401}},
		{"a stranger's certificate", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			d := esttest.NewDevice(t, esttest.NewFactory(t, w.clock.Now), endpoint)
			a.cert = &tlsCertificate{Certificate: [][]byte{d.DER}, PrivateKey: d.Key}
		}, row{200, 200, 401, 401, 401}},
		{"a factory certificate, right closed", func(_ *testing.T, w *world, a *ask) {
			a.cert = w.factoryCertificate()
		}, row{200, 200, 202, 403, 202}},
		{"a factory certificate, right open", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			w.open(t)
			a.cert = w.factoryCertificate()
		}, row{200, 200, 200, 403, 200}},
		{"a factory certificate, right deleted", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			if _, err := w.ca.DeleteRight(t.Context(), w.device.Factory, est.CessationOfOperation); err != nil {
				t.Fatal(err)
			}
			a.cert = w.factoryCertificate()
		}, row{200, 200, 403, 403, 403}},
		{"an operational certificate", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			a.cert = w.enrolled(t)
		}, row{200, 200, 403, 200, 200}},
		{"a revoked certificate", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			a.cert = w.enrolled(t)
			if err := w.ca.Revoke(t.Context(), hashOf(a.cert.Certificate[0]), est.KeyCompromise, "stolen"); err != nil {
				t.Fatal(err)
			}
		}, row{200, 200, 403, 403, 403}},
		{"a server's certificate of ours", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			key := esttest.Key(t)
			issued, err := w.ca.IssueServer(t.Context(), "alpha.example", key.Public())
			if err != nil {
				t.Fatal(err)
			}
			a.cert = &tlsCertificate{Certificate: [][]byte{issued.DER}, PrivateKey: key}
		}, row{200, 200, 401, 401, 401}},
		{"a password for the name of a device", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			w.password(t, a, endpoint)
		}, row{200, 200, 403, 403, 403}},
		{"a password for its own name", func(t *testing.T, w *world, a *ask) {
			t.Helper()
			w.password(t, a, gateway)
			a.body = text(esttest.CSR(t, w.key, gateway))
		}, row{200, 200, 200, 403, 403}},
	} {
		for function, want := range functions(tt.want) {
			t.Run(tt.name+", "+function, func(t *testing.T) {
				w := newWorld(t, profile(t, est.ProfileOptions{ServerKeys: true}))
				a := ask{body: text(esttest.CSR(t, esttest.Key(t), endpoint))}
				tt.who(t, w, &a)
				a.path = "/.well-known/est/" + function
				if function == "cacerts" || function == "csrattrs" {
					a.method, a.body = http.MethodGet, nil
				}
				before := w.issued(t)
				res, body := w.do(t, a)
				if res.StatusCode != want {
					t.Errorf("%s %s, want %d", res.Status, body, want)
				}
				issues := want == http.StatusOK && a.method == ""
				if got := w.issued(t) - before; (got == 1) != issues || got > 1 {
					t.Errorf("%d certificates were issued", got)
				}
			})
		}
	}
}

// enrolled gives the device its operational certificate.
func (w *world) enrolled(t *testing.T) *tlsCertificate {
	t.Helper()
	w.open(t)
	_, body := w.do(t, ask{body: text(esttest.CSR(t, w.key, endpoint)), cert: w.factoryCertificate()})
	return operational(certificates(t, body)[0], w.key)
}

// password has a ask by a password for a name.
func (w *world) password(t *testing.T, a *ask, name string) {
	t.Helper()
	p, secret, err := w.ca.MakePassword(t.Context(), est.NewPassword{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	a.user, a.secret = p.ID, secret
}
