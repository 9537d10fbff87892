package est_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// A faultyStore is all that a CA stores, and may be told to fail.
type faultyStore interface {
	est.Store
	est.RequestStore
}

// newWorldOf is newWorld by an operational profile of its own, over a store that
// may be wrapped.
func newWorldOf(t *testing.T, o est.ProfileOptions, store func(*esttest.Store) faultyStore) *world {
	t.Helper()
	o.Name, o.Kind, o.Validity = "special", est.KindOperational, 24*time.Hour
	profile, err := est.NewProfile(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clock: esttest.NewClock(), store: &esttest.Store{}, key: esttest.Key(t)}
	var below faultyStore = w.store
	if store != nil {
		below = store(w.store)
	}
	w.ca = esttest.NewCA(t, "Alpha", below, w.clock.Now, func(o *est.Options) {
		o.Requests, o.Sealer, o.Profiles.Operational = below, esttest.NewSealer(t), profile
		o.Limits = est.Limits{Burst: 1000}
	})
	w.factory = esttest.NewFactory(t, w.clock.Now)
	w.device = esttest.NewDevice(t, w.factory, endpoint)
	esttest.Grant(t, w.ca, w.factory, w.device)
	return w
}

func (w *world) generate(ctx context.Context, csr []byte) (est.Keyed, error) {
	return w.ca.GenerateKey(ctx, est.Request{Client: w.device.Client(), CSR: csr})
}

// fits fails unless the key is that of the certificate.
func fits(t *testing.T, k est.Keyed) {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(k.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(k.DER)
	if err != nil {
		t.Fatal(err)
	}
	public := key.(crypto.Signer).Public()
	if !public.(interface{ Equal(x crypto.PublicKey) bool }).Equal(cert.PublicKey) {
		t.Error("the certificate is for another key")
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", slog.Any("key", k.Key))
	text := fmt.Sprintf("%v %s %#v %+v", k.Key, k.Key, k.Key, k) + log.String()
	secret := fmt.Sprintf("%d", []byte(k.Key[20:44])) // some of it is the private number, whatever the kind
	if strings.Contains(text, strings.Trim(secret, "[]")) {
		t.Errorf("a key shows itself: %.60s", text)
	}
}

func TestGenerateKey(t *testing.T) {
	w := newWorldOf(t, est.ProfileOptions{ServerKeys: true}, nil)
	csr := esttest.Request(t, nil, endpoint)
	if _, err := w.generate(t.Context(), csr); !errors.Is(err, est.ErrPending) {
		t.Fatalf("GenerateKey under a closed right = %v, want ErrPending", err)
	}
	w.open(t, nil)
	first, err := w.generate(t.Context(), csr)
	if err != nil {
		t.Fatal(err)
	}
	fits(t, first)
	again, err := w.generate(t.Context(), csr)
	if err != nil || again.Hash != first.Hash || !bytes.Equal(again.Key, first.Key) {
		t.Errorf("the same request = another answer, %v", err)
	}
	if _, err := w.generate(t.Context(), esttest.Request(t, w.key, endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("another request = %v, want ErrWrongKey", err)
	}
	if _, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("Enrol with a key of its own = %v, want ErrWrongKey", err)
	}
	sealed, err := w.store.SealedKey(t.Context(), w.device.Factory, sha256.Sum256(csr))
	if err != nil || bytes.Contains(sealed.Sealed, first.Key[8:40]) {
		t.Errorf("the key is stored unencrypted, %v", err)
	}
	w.clock.Advance(est.DefaultKeepKeys)
	if _, err := w.generate(t.Context(), csr); !errors.Is(err, est.ErrKeyGone) {
		t.Errorf("the same request later = %v, want ErrKeyGone", err)
	}
	if err := w.ca.ForgetKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.SealedKey(t.Context(), w.device.Factory, sha256.Sum256(csr)); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("SealedKey after ForgetKeys = %v, want ErrUnknown", err)
	}
	if _, err := w.ca.ReopenRight(t.Context(), w.device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	second, err := w.generate(t.Context(), csr)
	if err != nil || second.Hash == first.Hash {
		t.Fatalf("GenerateKey under a reopened right = %v", err)
	}
	fits(t, second)
	if live := w.live(t); len(live) != 1 || live[0] != second.Hash {
		t.Errorf("live %x, want %x alone", live, second.Hash)
	}
}

func TestGenerateKeyRenews(t *testing.T) {
	w := newWorldOf(t, est.ProfileOptions{ServerKeys: true, Keys: []est.KeyAlgorithm{est.P384, est.Ed25519}}, nil)
	w.open(t, nil)
	first, err := w.generate(t.Context(), esttest.Request(t, nil, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := x509.ParseCertificate(first.DER); err != nil || cert.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("key %v, want P-384 as the profile prefers", cert.PublicKeyAlgorithm)
	}
	operational := est.Request{
		Client: est.Client{Role: est.RoleOperational, Certificate: first.Hash, Name: endpoint},
		CSR:    esttest.Request(t, nil, endpoint),
	}
	second, err := w.ca.GenerateKey(t.Context(), operational)
	if err != nil || second.Hash == first.Hash {
		t.Fatalf("GenerateKey by the first certificate = %v", err)
	}
	fits(t, second)
	again, err := w.ca.GenerateKey(t.Context(), operational)
	if err != nil || again.Hash != second.Hash || !bytes.Equal(again.Key, second.Key) {
		t.Errorf("the same request = another answer, %v", err)
	}
	w.clock.Advance(est.DefaultKeepKeys)
	third, err := w.ca.GenerateKey(t.Context(), operational)
	if err != nil || third.Hash == second.Hash {
		t.Fatalf("the same request later = %v", err)
	}
	fits(t, third)
	if live := w.live(t); slices.Contains(live, second.Hash) || !slices.Contains(live, third.Hash) {
		t.Errorf("live %x: the renewal that was lost must end with the next", live)
	}
	if _, err := w.ca.Reenrol(t.Context(), operational); !errors.Is(err, est.ErrCSR) && !errors.Is(err, est.ErrKey) {
		t.Errorf("Reenrol by a request without key = %v", err)
	}
}

func TestGenerateKeyRefuses(t *testing.T) {
	w := newWorldOf(t, est.ProfileOptions{ServerKeys: true}, nil)
	w.open(t, nil)
	plain := newWorld(t)
	plain.open(t, nil)
	client := w.device.Client()
	for _, tt := range []struct {
		name string
		w    *world
		in   est.Request
		err  error
	}{
		{"profile without", plain, est.Request{
			Client: plain.device.Client(), CSR: esttest.Request(t, nil, endpoint),
		}, est.ErrForbidden},
		{"nobody", w, est.Request{CSR: esttest.Request(t, nil, endpoint)}, est.ErrForbidden},
		{"not registered", w, est.Request{
			Client: est.Client{Role: est.RoleFactory, Certificate: est.Hash{1}}, CSR: esttest.Request(t, nil, endpoint),
		}, est.ErrForbidden},
		{"foreign name", w, est.Request{Client: client, CSR: esttest.Request(t, nil, "urn:other")}, est.ErrName},
		{"nothing", w, est.Request{Client: client}, est.ErrCSR},
		{"huge", w, est.Request{Client: client, CSR: make([]byte, est.MaxCSR+1)}, est.ErrCSRSize},
		{"trailing byte", w, est.Request{Client: client, CSR: append(esttest.Request(t, nil, endpoint), 0)}, est.ErrCSR},
		{"encrypted", w, est.Request{
			Client: client,
			CSR:    esttest.Request(t, nil, endpoint, esttest.Attribute{Type: esttest.DecryptKeyID, Values: []string{"k"}}),
		}, est.ErrEncryption},
	} {
		if _, err := tt.w.ca.GenerateKey(t.Context(), tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: GenerateKey = %v, want %v", tt.name, err, tt.err)
		}
		if !strings.HasSuffix(tt.w.actions(), "certificate.keygen.refuse") {
			t.Errorf("%s: not audited: %s", tt.name, tt.w.actions())
		}
	}
	if live := w.live(t); len(live) > 0 {
		t.Errorf("live %x, want none", live)
	}
}

func TestAttributesOfRequests(t *testing.T) {
	one := func(values ...string) esttest.Attribute {
		return esttest.Attribute{Type: esttest.ChallengePassword, Values: values}
	}
	w := newWorld(t)
	var many []esttest.Attribute
	for i := range 17 {
		many = append(many, esttest.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3, i}, Values: []string{"x"}})
	}
	for _, tt := range []struct {
		name string
		in   []esttest.Attribute
		err  error
	}{
		{"none", nil, nil},
		{"unknown", many[:1], nil},
		{"challengePassword", []esttest.Attribute{one("x")}, nil},
		{"challengePassword twice", []esttest.Attribute{one("x"), one("x")}, est.ErrCSR},
		{"two values", []esttest.Attribute{one("x", "y")}, est.ErrCSR},
		{"no value", []esttest.Attribute{one()}, est.ErrCSR},
		{"many", many, est.ErrCSR},
	} {
		if _, err := est.ParseCSR(esttest.Request(t, w.key, endpoint, tt.in...)); !errors.Is(err, tt.err) {
			t.Errorf("%s: ParseCSR = %v, want %v", tt.name, err, tt.err)
		}
	}
}

func TestChangeSubjectName(t *testing.T) {
	w := newWorld(t)
	w.open(t, nil)
	old, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	change := esttest.Attribute{Type: esttest.ChangeSubjectName, Values: []string{"urn:other"}}
	if _, err := w.renew(t.Context(), old, esttest.Request(t, w.key, endpoint, change)); !errors.Is(err, est.ErrName) {
		t.Errorf("Reenrol = %v, want ErrName", err)
	}
}

func TestBinding(t *testing.T) {
	w := newWorldOf(t, est.ProfileOptions{Binding: true}, nil)
	w.open(t, nil)
	session := bytes.Repeat([]byte{7}, 12)
	bound := esttest.Attribute{
		Type: esttest.ChallengePassword, Values: []string{base64.StdEncoding.EncodeToString(session)},
	}
	for _, tt := range []struct {
		name    string
		csr     []byte
		session []byte
		err     error
	}{
		{"no binding", esttest.Request(t, w.key, endpoint, bound), nil, est.ErrBinding},
		{"no challengePassword", esttest.Request(t, w.key, endpoint), session, est.ErrBinding},
		{"of another session", esttest.Request(t, w.key, endpoint, bound), bytes.Repeat([]byte{8}, 12), est.ErrBinding},
		{"bound", esttest.Request(t, w.key, endpoint, bound), session, nil},
	} {
		_, err := w.ca.Enrol(t.Context(), est.Request{Client: w.device.Client(), CSR: tt.csr, Binding: tt.session})
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: Enrol = %v, want %v", tt.name, err, tt.err)
		}
	}
	if !strings.Contains(w.actions(), "certificate.enrol.refuse") {
		t.Errorf("not audited: %s", w.actions())
	}
}

func TestExpiredFactory(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		w := newWorld(t)
		w.ca = esttest.NewCA(t, "Alpha", w.store, w.clock.Now, func(o *est.Options) { o.ExpiredFactory = allowed })
		short, err := est.NewProfile(est.ProfileOptions{Name: "short", Kind: est.KindFactory, Validity: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		factory := esttest.NewFactoryOf(t, w.clock.Now, short)
		device := esttest.NewDevice(t, factory, "urn:dev:short")
		esttest.Grant(t, w.ca, factory, device)
		w.clock.Advance(2 * time.Hour)
		client, err := w.ca.Identify(t.Context(), [][]byte{device.DER})
		if allowed && (err != nil || client.Role != est.RoleFactory) || !allowed && !errors.Is(err, est.ErrFactory) {
			t.Errorf("allowed %v: Identify = %+v, %v", allowed, client, err)
		}
	}
}

func TestUsing(t *testing.T) {
	w := newWorld(t)
	for _, o := range []est.ProfileOptions{{ServerKeys: true}, {Approval: true}} {
		o.Name, o.Kind, o.Validity = "x", est.KindOperational, time.Hour
		p, err := est.NewProfile(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ca.Using(p); !errors.Is(err, est.ErrOptions) {
			t.Errorf("Using = %v, want ErrOptions", err)
		}
	}
	server := est.DefaultProfiles().Server
	for _, p := range []*est.Profile{nil, server} {
		if _, err := w.ca.Using(p); !errors.Is(err, est.ErrProfile) {
			t.Errorf("Using = %v, want ErrProfile", err)
		}
	}
}

// FuzzKeyless: whatever the request for a key says, the certificate is in the name of
// the client, for the key that comes with it, and at most one is live.
func FuzzKeyless(f *testing.F) {
	f.Add(esttest.Request(f, nil, endpoint))
	f.Add(esttest.CSR(f, esttest.Key(f), endpoint))
	f.Add(esttest.Request(f, nil, endpoint, esttest.Attribute{Type: esttest.DecryptKeyID, Values: []string{"k"}}))
	f.Add([]byte{0x30, 0x80, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, csr []byte) {
		w := newWorldOf(t, est.ProfileOptions{ServerKeys: true}, nil)
		w.open(t, nil)
		made, err := w.generate(t.Context(), csr)
		if live := w.live(t); (err == nil) != (len(live) == 1) {
			t.Fatalf("GenerateKey = %v, %d live", err, len(live))
		}
		if err != nil {
			return
		}
		fits(t, made)
		cert, err := x509.ParseCertificate(made.DER)
		if err != nil || cert.Subject.CommonName != endpoint {
			t.Errorf("%v, %v", cert.Subject, err)
		}
	})
}
