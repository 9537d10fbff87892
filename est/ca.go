package est

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"steward/lwm2m/audit"
)

// Options says what a CA works with. Store, Signer, Issuer and Now are required.
type Options struct {
	Store  Store
	Signer crypto.Signer     // the issuing CA's key
	Issuer *x509.Certificate // its certificate
	// Parents lead from Issuer's issuer up to the root; empty if Issuer is a root.
	Parents []*x509.Certificate
	// Previous are the issuing CAs before, whose certificates still live. They sign
	// CRLs and statuses, no certificates.
	Previous []Authority
	// ServedByPrevious has the certificates of our own servers come from the first of
	// Previous: clients that pinned it do not know the current one yet.
	ServedByPrevious bool
	// Permanent lists the roots of the authorities as factory CAs, for where operational
	// and factory certificates come from below one root.
	Permanent bool
	// Published are further certificates that clients of /crts get: during a
	// roll-over those of the authority before or after (RFC 7030 §4.1.3).
	Published []*x509.Certificate
	// Passwords are the one-time passwords in Store; nil: there are none.
	Passwords Passwords
	// Upstream is an external CA that makes the certificates of devices; nil: our own
	// issuer does. Errands, which are in Store, are required with it.
	Upstream Upstream
	Errands  Errands
	Profiles Profiles         // nil ones: DefaultProfiles
	Pointers Pointers         // to what is published of our certificates
	Now      func() time.Time // the clock
	Rand     io.Reader        // nil: crypto/rand
	// Retry is what a client is told to wait while its right is not open; zero:
	// DefaultRetry.
	Retry  time.Duration
	Limits Limits // on what devices ask for
	// Origins keeps who made factory keys. Nil: nobody knows.
	Origins OriginStore
	// Requests keeps what enrolment needs beside Store, and is written by its Commit.
	// Nil: no profile may need approval or make keys.
	Requests RequestStore
	// Sealer encrypts the keys made for devices before they are stored; required if a
	// profile makes keys.
	Sealer Sealer
	// KeepKeys is how long a key made for a device is kept, sealed, for repeated
	// requests; zero: DefaultKeepKeys.
	KeepKeys time.Duration
	// ExpiredFactory lets devices enrol by factory certificates that have expired, if
	// they chain and have a right (RFC 9148 §3 leaves it to policy).
	ExpiredFactory bool
	// FactoryStatus says whether the issuer of a factory certificate, by what it
	// published, has revoked it, and whether that is known now: nobody enrols by one of
	// which it is not (transfer protocol §7). It must not take long. Nil: nobody asks.
	FactoryStatus func(leaf *x509.Certificate) (revoked, known bool)
	// Revoked is called after each revocation with the certificate's hash, so that
	// live sessions can be dropped. It must not block. Nil: nobody is told.
	Revoked func(Hash)
	// Journal keeps revocations, deleted rights and CRL numbers apart from Store. Nil:
	// they are as old as Store when that is restored from a backup.
	Journal Journal
}

// DefaultRetry is the first retry interval of the transfer protocol (§7).
const DefaultRetry = 30 * time.Second

// A CA issues and revokes. It is safe for concurrent use and holds no state
// beside its Store and its Journal.
type CA struct {
	o      Options
	issuer *Issuer
	hash   Hash // of the issuing certificate
	actor  string
	chains *chains // that were verified, those of all actors together

	limiter *limiter // of all actors together
	ledger  *ledger  // likewise

	compromised *compromised // likewise
}

// NewCA validates o. It returns ErrProfile, or ErrOptions, which is also for
// parents that do not lead from the issuer to a root.
func NewCA(o Options) (*CA, error) {
	if o.Store == nil || o.Now == nil {
		return nil, fmt.Errorf("%w: a CA needs a store and a clock", ErrOptions)
	}
	issuer, err := NewIssuer(o.Signer, o.Issuer, o.Rand)
	if err != nil {
		return nil, err
	}
	issuer.pointers = o.Pointers
	if o.Profiles, err = o.Profiles.withDefaults(); err != nil {
		return nil, err
	}
	if o.Limits, err = o.Limits.withDefaults(); err != nil {
		return nil, err
	}
	if o.Upstream != nil {
		if o.Errands == nil || len(o.Upstream.Anchors()) == 0 {
			return nil, fmt.Errorf("%w: an external CA needs anchors, and a store of errands", ErrOptions)
		}
		o.Published = slices.Concat(o.Published, o.Upstream.Anchors())
	}
	if o.Retry <= 0 {
		o.Retry = DefaultRetry
	}
	if o.KeepKeys <= 0 {
		o.KeepKeys = DefaultKeepKeys
	}
	ca := &CA{
		o: o, issuer: issuer, hash: sha256.Sum256(o.Issuer.Raw), actor: "system",
		chains: new(chains), limiter: newLimiter(o.Limits), ledger: newLedger(o.Journal), compromised: &compromised{},
	}
	if err := checkAuthorities(ca.Authorities()); err != nil {
		return nil, err
	}
	if o.ServedByPrevious && len(o.Previous) == 0 {
		return nil, fmt.Errorf("%w: no previous authority", ErrOptions)
	}
	return ca.Using(o.Profiles.Operational)
}

// Using returns the same CA issuing to devices by another operational profile: that
// of a label (RFC 7030 §3.2.2). It returns ErrProfile for a profile of another kind,
// and ErrOptions for one that needs what Options does not have.
func (ca *CA) Using(operational *Profile) (*CA, error) {
	switch {
	case operational == nil || operational.kind != KindOperational:
		return nil, fmt.Errorf("%w: a label needs an operational profile", ErrProfile)
	case ca.o.Requests == nil && (operational.approval || operational.serverKeys),
		ca.o.Sealer == nil && operational.serverKeys:
		return nil, fmt.Errorf("%w: profile %s needs stored requests and a sealer", ErrOptions, operational.name)
	}
	other := *ca
	other.o.Profiles.Operational = operational
	return &other, nil
}

// As returns the same CA acting for somebody: "operator:<id>", "peer:<name>".
// What a device asks for is always recorded under its own name.
func (ca *CA) As(actor string) *CA {
	other := *ca
	other.actor = actor
	return &other
}

// Certificate returns the issuing CA's certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.o.Issuer }

// Chain returns the issuing CA's certificate and those above it, the root last.
func (ca *CA) Chain() []*x509.Certificate {
	return append([]*x509.Certificate{ca.o.Issuer}, ca.o.Parents...)
}

// Root returns the last of Chain.
func (ca *CA) Root() *x509.Certificate {
	chain := ca.Chain()
	return chain[len(chain)-1]
}

// Adopt records the certificates of all authorities in the inventory, and those
// above them. It may be repeated.
func (ca *CA) Adopt(ctx context.Context) error {
	for _, a := range ca.Authorities() {
		if err := ca.adopt(ctx, a.Chain()); err != nil {
			return err
		}
	}
	return nil
}

func (ca *CA) adopt(ctx context.Context, chain []*x509.Certificate) error {
	for i, c := range chain {
		kind, issuer := KindIssuing, Hash{}
		if i+1 < len(chain) {
			issuer = sha256.Sum256(chain[i+1].Raw)
		}
		if c.CheckSignatureFrom(c) == nil {
			kind, issuer = KindRoot, sha256.Sum256(c.Raw)
		}
		if err := ca.insert(ctx, newRecord(c, issuer, kind, string(kind), ca.now()), "certificate.adopt"); err != nil {
			return err
		}
	}
	return nil
}

// insert stores r and an audit row unless the inventory has it already.
func (ca *CA) insert(ctx context.Context, r Record, action string) error {
	if _, err := ca.record(ctx, r.Hash); !errors.Is(err, ErrUnknown) {
		return err
	}
	err := ca.o.Store.Commit(ctx, Change{Insert: []Record{r}, Audit: []audit.Row{
		ca.row(action, r.Hash, string(r.Kind)+" "+r.Name, "", string(r.Status)),
	}})
	if errors.Is(err, ErrConflict) { // somebody else recorded it meanwhile
		return nil
	}
	return err
}

func (ca *CA) now() time.Time { return stamp(ca.o.Now()) }

// row returns an audit row about the certificate or right named by subject.
func (ca *CA) row(action string, subject Hash, reason, before, after string) audit.Row {
	return audit.Row{
		Actor: ca.actor, Action: action, Subject: hex.EncodeToString(subject[:]), Reason: reason,
		Before: before, After: after, At: ca.now(),
	}
}

// maxAttempts bounds how often an operation starts again because somebody else
// changed its rows: more contention on one device is not honest.
const maxAttempts = 8

// again runs op until it does not end in ErrConflict.
func again[T any](op func() (T, error)) (T, error) {
	for range maxAttempts - 1 {
		if v, err := op(); !errors.Is(err, ErrConflict) {
			return v, err
		}
	}
	return op()
}
