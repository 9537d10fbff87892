package esttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"steward/est"
)

// A Clock is set by the test. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a fixed day.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Key makes a P-256 key.
func Key(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// NewCA makes root and issuing CA of a provider over store, with clock now. Each
// of more may change what else the CA works with.
func NewCA(tb testing.TB, name string, store est.Store, now func() time.Time, more ...func(*est.Options)) *est.CA {
	tb.Helper()
	rootKey, key := Key(tb), Key(tb)
	root, err := est.NewRoot(est.RootOptions{Name: name + " root", Signer: rootKey, Now: now()})
	if err != nil {
		tb.Fatal(err)
	}
	above, err := est.NewIssuer(rootKey, root, nil)
	if err != nil {
		tb.Fatal(err)
	}
	issuing, err := est.NewIssuing(above, name+" CA", key.Public(), nil, now())
	if err != nil {
		tb.Fatal(err)
	}
	o := est.Options{Store: store, Signer: key, Issuer: issuing, Parents: []*x509.Certificate{root}, Now: now}
	if origins, ok := store.(est.OriginStore); ok {
		o.Origins = origins
	}
	for _, set := range more {
		set(&o)
	}
	return newCA(tb, o)
}

// NewFactory makes a permanent CA with a Store of its own.
func NewFactory(tb testing.TB, now func() time.Time) *est.CA {
	tb.Helper()
	return NewFactoryOf(tb, now, nil)
}

// NewFactoryOf is NewFactory with a profile for the factory certificates; nil: that
// without expiry.
func NewFactoryOf(tb testing.TB, now func() time.Time, devices *est.Profile) *est.CA {
	tb.Helper()
	key := Key(tb)
	profile, err := est.DefaultFactoryRoot()
	if err != nil {
		tb.Fatal(err)
	}
	root, err := est.NewRoot(est.RootOptions{Name: "Factory", Signer: key, Now: now(), Profile: profile})
	if err != nil {
		tb.Fatal(err)
	}
	return newCA(tb, est.Options{
		Store: &Store{}, Signer: key, Issuer: root, Now: now, Profiles: est.Profiles{Factory: devices},
	})
}

func newCA(tb testing.TB, o est.Options) *est.CA {
	tb.Helper()
	o.Passwords, _ = o.Store.(est.Passwords)
	ca, err := est.NewCA(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := ca.Adopt(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return ca
}

// A Device is what comes from a factory.
type Device struct {
	Endpoint string
	Key      *ecdsa.PrivateKey // factory key
	DER      []byte            // factory certificate
	Factory  est.Hash          // of DER
}

// NewDevice makes a device with a factory certificate of factory.
func NewDevice(tb testing.TB, factory *est.CA, endpoint string) Device {
	tb.Helper()
	key := Key(tb)
	issued, err := factory.IssueFactory(tb.Context(), endpoint, key.Public(), est.OriginCA)
	if err != nil {
		tb.Fatal(err)
	}
	return Device{Endpoint: endpoint, Key: key, DER: issued.DER, Factory: sha256.Sum256(issued.DER)}
}

// Client returns the device as a handshake with its factory certificate shows it.
func (d Device) Client() est.Client {
	return est.Client{Role: est.RoleFactory, Certificate: d.Factory, Name: d.Endpoint}
}

// Grant registers the device at ca, whose list of factory CAs gets factory.
func Grant(tb testing.TB, ca, factory *est.CA, d Device) {
	tb.Helper()
	if err := ca.TrustFactoryCA(tb.Context(), factory.Root().Raw); err != nil {
		tb.Fatal(err)
	}
	if _, err := ca.GrantRight(tb.Context(), est.Grant{FactoryDER: d.DER}); err != nil {
		tb.Fatal(err)
	}
}

// CSR makes a request in the device's name for key.
func CSR(tb testing.TB, key crypto.Signer, name string) []byte {
	tb.Helper()
	der, err := est.NewCSR(key, name)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
