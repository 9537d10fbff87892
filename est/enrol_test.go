package est_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/machine"
)

const endpoint = "urn:dev:ops:32473-demo-00000001"

// A world is a provider, a factory, and one device that is registered.
type world struct {
	clock   *esttest.Clock
	store   *esttest.Store
	ca      *est.CA
	factory *est.CA
	device  esttest.Device
	key     *ecdsa.PrivateKey // the device's operational key to be
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: esttest.NewClock(), store: &esttest.Store{}, key: esttest.Key(t)}
	w.ca, w.factory = esttest.NewCA(t, "Alpha", w.store, w.clock.Now), esttest.NewFactory(t, w.clock.Now)
	w.device = esttest.NewDevice(t, w.factory, endpoint)
	esttest.Grant(t, w.ca, w.factory, w.device)
	return w
}

// open opens the device's right for the key, nil for any.
func (w *world) open(t *testing.T, key *ecdsa.PrivateKey) {
	t.Helper()
	if _, err := w.ca.OpenRight(t.Context(), w.device.Factory, spki(t, key)); err != nil {
		t.Fatal(err)
	}
}

func spki(t *testing.T, key *ecdsa.PrivateKey) est.Hash {
	t.Helper()
	if key == nil {
		return est.Hash{}
	}
	h, err := est.SPKI(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *world) enrol(ctx context.Context, csr []byte) (est.Issued, error) {
	return w.ca.Enrol(ctx, est.Request{Client: w.device.Client(), CSR: csr})
}

// enrolled opens the right and enrols.
func (w *world) enrolled(t *testing.T) est.Issued {
	t.Helper()
	w.open(t, nil)
	out, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) renew(ctx context.Context, old est.Issued, csr []byte) (est.Issued, error) {
	return w.ca.Reenrol(ctx, est.Request{
		Client: est.Client{Role: est.RoleOperational, Certificate: old.Hash, Name: endpoint}, CSR: csr,
	})
}

// live returns the operational certificates that are good now.
func (w *world) live(t *testing.T) []est.Hash {
	t.Helper()
	records, err := w.store.Certificates(t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil {
		t.Fatal(err)
	}
	var out []est.Hash
	for _, r := range records {
		if w.ca.Live(t.Context(), r.Hash, w.clock.Now()) == nil {
			out = append(out, r.Hash)
		}
	}
	return out
}

func (w *world) actions() string {
	var out []string
	for _, r := range w.store.Audit() {
		out = append(out, r.Action)
	}
	return strings.Join(out, " ")
}

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ca.Lookup(t.Context(), w.device.Factory); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("a factory certificate of another CA is in the inventory: %v", err)
	}
	out := w.enrolled(t)
	cert, err := x509.ParseCertificate(out.DER)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != endpoint || len(out.Chain) != 2 || out.Hash != sha256.Sum256(out.DER) {
		t.Errorf("issued %v, chain of %d", cert.Subject, len(out.Chain))
	}
	r, err := w.ca.Lookup(t.Context(), out.Hash)
	if err != nil || r.Factory != w.device.Factory || r.SPKI != spki(t, w.key) || r.Name != endpoint {
		t.Errorf("record %+v, %v", r, err)
	}
	right, err := w.ca.Right(t.Context(), w.device.Factory)
	if err != nil || right.State != est.RightConsumed || right.Issued != out.Hash || right.SPKI != r.SPKI {
		t.Errorf("right %+v, %v", right, err)
	}
	rows := w.store.Audit()
	row := rows[len(rows)-1] // of the certificate and of its right
	told := row.Action == "certificate.issue" && row.Subject == hex.EncodeToString(out.Hash[:]) &&
		strings.HasSuffix(row.Reason, "; right of "+hex.EncodeToString(w.device.Factory[:])) && row.Before == "right open" &&
		row.After == fmt.Sprintf("valid; right consumed(%x)", r.SPKI[:8]) && row.Actor == "device:"+endpoint
	if !told {
		t.Errorf("audit row %+v", row)
	}
}

// TestSameRequestSameAnswer is transfer protocol §1.8: same bytes, stored answer;
// same key in other bytes, new certificate and the earlier one revoked; another
// key, alarm, and the true key stays welcome.
func TestSameRequestSameAnswer(t *testing.T) {
	w := newWorld(t)
	w.open(t, nil)
	csr := esttest.CSR(t, w.key, endpoint)
	first, err := w.enrol(t.Context(), csr)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.enrol(t.Context(), csr)
	if err != nil || again.Hash != first.Hash {
		t.Errorf("same request: %x, %v, want %x", again.Hash, err, first.Hash)
	}
	if _, err := w.enrol(t.Context(), esttest.CSR(t, esttest.Key(t), endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("other key: %v, want ErrWrongKey", err)
	}
	if !strings.HasSuffix(w.actions(), "certificate.enrol.alarm.wrong_key") {
		t.Errorf("no alarm: %s", w.actions())
	}
	second, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint)) // a fresh signature
	if err != nil || second.Hash == first.Hash {
		t.Errorf("same key, other bytes: %x, %v", second.Hash, err)
	}
	if got := w.live(t); !slices.Equal(got, []est.Hash{second.Hash}) {
		t.Errorf("live %x, want the second alone", got)
	}
	if err := w.ca.Live(t.Context(), first.Hash, w.clock.Now()); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("first: %v, want ErrRevoked", err)
	}
}

// opened opens the right for key, nil for any.
func opened(key *ecdsa.PrivateKey) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		w.open(t, key)
	}
}

func TestEnrolRefuses(t *testing.T) {
	noted := esttest.Key(t)
	tests := []struct {
		name    string
		prepare func(*testing.T, *world)
		request func(*testing.T, *world) est.Request // nil: as it should be
		err     error
	}{
		{"not registered", nil, func(t *testing.T, w *world) est.Request {
			t.Helper()
			d := esttest.NewDevice(t, esttest.NewFactory(t, w.clock.Now), endpoint)
			return est.Request{Client: d.Client(), CSR: esttest.CSR(t, w.key, endpoint)}
		}, est.ErrForbidden},
		{"operational role", nil, func(t *testing.T, w *world) est.Request {
			t.Helper()
			return est.Request{
				Client: est.Client{Role: est.RoleOperational, Certificate: w.device.Factory}, CSR: esttest.CSR(t, w.key, endpoint),
			}
		}, est.ErrForbidden},
		{"no identity", nil, func(t *testing.T, w *world) est.Request {
			t.Helper()
			return est.Request{CSR: esttest.CSR(t, w.key, endpoint)}
		}, est.ErrForbidden},
		{"closed", func(*testing.T, *world) {}, nil, est.ErrPending},
		{"window not begun", func(t *testing.T, w *world) {
			t.Helper()
			grant(t, w, est.Grant{FactoryDER: w.device.DER, From: w.clock.Now().Add(time.Hour)})
			w.open(t, nil)
		}, nil, est.ErrPending},
		{"window over, any key", func(t *testing.T, w *world) {
			t.Helper()
			grant(t, w, est.Grant{FactoryDER: w.device.DER, Until: w.clock.Now().Add(time.Hour)})
			w.open(t, nil)
			w.clock.Advance(2 * time.Hour)
		}, nil, est.ErrForbidden},
		{"window over, bound to this key", func(t *testing.T, w *world) {
			t.Helper()
			grant(t, w, est.Grant{FactoryDER: w.device.DER, Until: w.clock.Now().Add(time.Hour)})
			w.open(t, w.key)
			w.clock.Advance(2 * time.Hour)
		}, nil, est.ErrForbidden},
		{"window over, but reopened for this key", func(t *testing.T, w *world) {
			t.Helper()
			grant(t, w, est.Grant{FactoryDER: w.device.DER, Until: w.clock.Now().Add(time.Hour)})
			w.open(t, nil)
			must(t)(w.ca.SuspendRight(t.Context(), w.device.Factory))
			must(t)(w.ca.ReopenRight(t.Context(), w.device.Factory, spki(t, w.key)))
			w.clock.Advance(2 * time.Hour)
		}, nil, nil},
		{"open for another key", opened(noted), nil, est.ErrWrongKey},
		{"suspended", func(t *testing.T, w *world) {
			t.Helper()
			w.open(t, nil)
			must(t)(w.ca.SuspendRight(t.Context(), w.device.Factory))
		}, nil, est.ErrPending},
		{"deleted", func(t *testing.T, w *world) {
			t.Helper()
			must(t)(w.ca.DeleteRight(t.Context(), w.device.Factory, est.CessationOfOperation))
		}, nil, est.ErrForbidden},
		{"other name", opened(nil), func(t *testing.T, w *world) est.Request {
			t.Helper()
			return est.Request{Client: w.device.Client(), CSR: esttest.CSR(t, w.key, "urn:other")}
		}, est.ErrName},
		{"name and more", opened(nil), func(t *testing.T, w *world) est.Request {
			t.Helper()
			subject := pkix.Name{CommonName: endpoint, Organization: []string{"Alpha"}}
			return est.Request{Client: w.device.Client(), CSR: request(t, w.key, x509.CertificateRequest{Subject: subject})}
		}, est.ErrName},
		{"foreign subjectAltName", opened(nil), func(t *testing.T, w *world) est.Request {
			t.Helper()
			return est.Request{Client: w.device.Client(), CSR: request(t, w.key, x509.CertificateRequest{
				Subject: pkix.Name{CommonName: endpoint}, DNSNames: []string{"alpha.example"},
			})}
		}, est.ErrName},
		{"no request", opened(nil), func(_ *testing.T, w *world) est.Request {
			return est.Request{Client: w.device.Client()}
		}, est.ErrCSR},
		{"oversized request", opened(nil), func(_ *testing.T, w *world) est.Request {
			return est.Request{Client: w.device.Client(), CSR: make([]byte, est.MaxCSR+1)}
		}, est.ErrCSRSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.prepare != nil {
				tt.prepare(t, w)
			}
			r := est.Request{Client: w.device.Client(), CSR: esttest.CSR(t, w.key, endpoint)}
			if tt.request != nil {
				r = tt.request(t, w)
			}
			_, err := w.ca.Enrol(t.Context(), r)
			if !errors.Is(err, tt.err) {
				t.Fatalf("Enrol = %v, want %v", err, tt.err)
			}
			if err == nil {
				return
			}
			if len(w.live(t)) > 0 {
				t.Error("something was issued")
			}
			if pending := (*est.PendingError)(nil); errors.As(err, &pending) {
				if pending.Retry < est.DefaultRetry {
					t.Errorf("retry after %v", pending.Retry)
				}
			} else if !strings.Contains(w.actions(), "certificate.enrol.") {
				t.Errorf("refusal is not audited: %s", w.actions())
			}
		})
	}
}

// must fails the test on an error of a call that also returns something.
func must(t *testing.T) func(any, error) {
	t.Helper()
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func grant(t *testing.T, w *world, g est.Grant) {
	t.Helper()
	if _, err := w.ca.GrantRight(t.Context(), g); err != nil {
		t.Fatal(err)
	}
}

// TestRaces lets two keys and many repetitions race for one right: one
// certificate is live at the end, and every winner of the answer holds it.
func TestRaces(t *testing.T) {
	w := newWorld(t)
	w.open(t, nil)
	requests := [][]byte{esttest.CSR(t, w.key, endpoint), esttest.CSR(t, esttest.Key(t), endpoint)}
	var mu sync.Mutex
	got := map[est.Hash]int{}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			out, err := w.enrol(t.Context(), requests[i%2])
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got[out.Hash]++
			} else if !errors.Is(err, est.ErrWrongKey) {
				t.Errorf("Enrol = %v", err)
			}
		})
	}
	wg.Wait()
	if live := w.live(t); len(live) != 1 || len(got) != 1 || got[live[0]] != 8 {
		t.Errorf("live %x, answers %v, want one, eight times", live, got)
	}
}

func TestCloseRacesEnrol(t *testing.T) {
	for i := range 20 {
		w := newWorld(t)
		w.open(t, w.key)
		csr := esttest.CSR(t, w.key, endpoint)
		var closed, enrolled error
		var wg sync.WaitGroup
		wg.Go(func() { _, closed = w.ca.CloseRight(t.Context(), w.device.Factory) })
		wg.Go(func() { _, enrolled = w.enrol(t.Context(), csr) })
		wg.Wait()
		status, err := w.ca.RightStatus(t.Context(), w.device.Factory)
		if err != nil {
			t.Fatal(err)
		}
		switch status.State {
		case est.RightClosed:
			if closed != nil || !errors.Is(enrolled, est.ErrPending) || len(w.live(t)) != 0 {
				t.Errorf("run %d: closed: %v, %v", i, closed, enrolled)
			}
		case est.RightConsumed:
			if !errors.Is(closed, machine.ErrNoRow) || enrolled != nil || len(w.live(t)) != 1 {
				t.Errorf("run %d: consumed: %v, %v", i, closed, enrolled)
			}
		default:
			t.Errorf("run %d: right is %s", i, status.State)
		}
	}
}

// TestCompromisedKey: a revocation for keyCompromise is of the key. Neither the
// stored answer nor another request, nor a renewal under another certificate, gets
// it a new one; another key does, once the operator has opened the right for it.
func TestCompromisedKey(t *testing.T) {
	w := newWorld(t)
	old := w.enrolled(t)
	ctx := t.Context()
	if err := w.ca.Revoke(ctx, old.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // ECDSA: each request is another
		if _, err := w.enrol(ctx, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrForbidden) {
			t.Errorf("enrol with the compromised key: %v, want ErrForbidden", err)
		}
	}
	next := esttest.Key(t)
	if _, err := w.ca.ReopenRight(ctx, w.device.Factory, spki(t, next)); err != nil {
		t.Fatal(err)
	}
	fresh, err := w.enrol(ctx, esttest.CSR(t, next, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.renew(ctx, fresh, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("renew with the compromised key: %v, want ErrForbidden", err)
	}
}
