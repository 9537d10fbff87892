// Package cabench measures the certificate authority: what issuing costs beside the
// cryptography and the row that it cannot do without, and what the inventory takes
// to show when it is large. Both in one run, in one process, over SQLite in a
// directory of its own.
package cabench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
)

// ErrOptions reports Options that Run refuses.
var ErrOptions = errors.New("unusable options")

// Options configure a run. Zero means the default named.
type Options struct {
	Devices      int // that enrol; 5000
	Certificates int // of the inventory, half of them revoked; 100,000
	InFlight     int // enrolments at once; 50
	// Dir is where the databases are made, and removed at the end; "": the system's
	// place for temporary files.
	Dir string
	// Profile is the file of a CPU profile of the issuance; "": none.
	Profile string
	// Progress receives lines for people; nil: nobody.
	Progress io.Writer
}

const (
	maxDevices      = 200_000
	maxCertificates = 1_000_000
	maxInFlight     = 512
)

func (o Options) withDefaults() (Options, error) {
	for _, l := range []struct {
		name       string
		value      *int
		zero, most int
	}{
		{"devices", &o.Devices, 5000, maxDevices},
		{"certificates", &o.Certificates, 100_000, maxCertificates},
		{"in-flight", &o.InFlight, 50, maxInFlight},
	} {
		if *l.value == 0 {
			*l.value = l.zero
		}
		if *l.value < 1 || *l.value > l.most {
			return o, fmt.Errorf("%w: %s %d, want 1 to %d", ErrOptions, l.name, *l.value, l.most)
		}
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o, nil
}

// Run measures all. It returns ErrOptions, or what kept it from measuring.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "steward-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "ca.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := &run{o: o, db: db, dir: dir, result: &Result{}}
	if err := r.authorities(ctx); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context) error{r.issuance, r.inventory} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return r.result, nil
}

// A run is one under way.
type run struct {
	o      Options
	dir    string
	db     *sqlite.DB
	result *Result

	key     *ecdsa.PrivateKey // of the issuing CA
	issuing *x509.Certificate
	root    *x509.Certificate
	issuer  *est.Issuer
	ca      *est.CA
	factory *est.Issuer
}

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.o.Progress, format+"\n", args...) // talk
}

// authorities makes a provider's CA and a factory's.
func (r *run) authorities(ctx context.Context) error {
	now := time.Now()
	root, above, err := newRoot("Bench root", nil, now)
	if err != nil {
		return err
	}
	if r.key, err = newKey(); err != nil {
		return err
	}
	if r.issuing, err = est.NewIssuing(above, "Bench CA", r.key.Public(), nil, now); err != nil {
		return err
	}
	if r.issuer, err = est.NewIssuer(r.key, r.issuing, nil); err != nil {
		return err
	}
	r.root = root
	if err := r.open(); err != nil {
		return err
	}
	if err := r.ca.Adopt(ctx); err != nil {
		return err
	}
	profile, err := est.DefaultFactoryRoot()
	if err != nil {
		return err
	}
	permanent, factory, err := newRoot("Bench factory", profile, now)
	if err != nil {
		return err
	}
	r.factory = factory
	return r.ca.TrustFactoryCA(ctx, permanent.Raw)
}

// open makes the provider's CA anew over what is stored.
func (r *run) open() (err error) {
	r.ca, err = est.NewCA(est.Options{
		Store: r.db.Inventory(), Signer: r.key, Issuer: r.issuing, Parents: []*x509.Certificate{r.root}, Now: time.Now,
		Limits: est.Limits{PerMinute: 1 << 30}, //nolint:mnd // no limit here
	})
	return err
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newRoot(name string, profile *est.Profile, now time.Time) (*x509.Certificate, *est.Issuer, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	root, err := est.NewRoot(est.RootOptions{Name: name, Signer: key, Profile: profile, Now: now})
	if err != nil {
		return nil, nil, err
	}
	issuer, err := est.NewIssuer(key, root, nil)
	return root, issuer, err
}
