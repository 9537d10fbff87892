package est

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
)

// A Grant registers a factory certificate for enrolment.
type Grant struct {
	Factory Hash // of FactoryDER; zero: computed
	// FactoryDER is the certificate; it must chain to a listed factory CA.
	FactoryDER    []byte
	Intermediates [][]byte  // DER of CAs between it and the listed one
	Endpoint      string    // its commonName; "": taken from it
	Named         bool      // Endpoint is the device's name by the provider's own rule, whatever the commonName
	From, Until   time.Time // window, see Right; zero: no limit
	KeyOrigin     KeyOrigin // who made the factory key; unknown: what was told before stays
}

// GrantRight registers g: a right that is closed until OpenRight. Repeated for a
// closed right it sets the window. It returns ErrFactory, ErrName if the endpoint
// is not the certificate's, ErrEndpoint if another certificate holds that name,
// and machine.ErrNoRow if the right is open, consumed or suspended.
func (ca *CA) GrantRight(ctx context.Context, g Grant) (Right, error) {
	leaf, err := x509.ParseCertificate(g.FactoryDER)
	if err != nil {
		return Right{}, fmt.Errorf("%w: %w", ErrFactory, err)
	}
	hash := sha256.Sum256(g.FactoryDER)
	name := leaf.Subject.CommonName
	if g.Named {
		name = g.Endpoint
	}
	if g.Factory != (Hash{}) && g.Factory != hash || g.Endpoint != "" && g.Endpoint != name {
		return Right{}, fmt.Errorf("%w: %q is not the subject of the factory certificate", ErrName, g.Endpoint)
	}
	if err := checkName(name); err != nil {
		return Right{}, err
	}
	if err := ca.VerifyFactory(ctx, leaf, g.Intermediates); err != nil {
		return Right{}, err
	}
	if err := ca.unclaimed(ctx, name); err != nil {
		return Right{}, err
	}
	fresh := Right{
		Factory: hash, FactoryDER: g.FactoryDER, Endpoint: name, State: RightClosed, Epoch: 1,
		From: stamp(g.From), Until: stamp(g.Until), ChangedAt: ca.now(),
	}
	return again(func() (Right, error) {
		_, err := ca.o.Store.Right(ctx, hash)
		if errors.Is(err, ErrUnknown) {
			why := "right for " + name + " registered" + madeBy(g.KeyOrigin)
			err = ca.o.Store.Commit(ctx, Change{
				Right: &fresh, Origin: origin(hash, g.KeyOrigin),
				Audit: []audit.Row{ca.row("right.grant", hash, why, "", string(RightClosed))},
			})
			stored := fresh
			stored.Version = 1
			return stored, err
		}
		if err != nil {
			return Right{}, err
		}
		return ca.stepRight(ctx, hash, EventGrant, step{set: func(r *Right) { r.From, r.Until = fresh.From, fresh.Until }})
	})
}

// unclaimed returns ErrEndpoint if somebody who asked without a factory certificate
// has a live certificate of that name: the device with the right would be taken for
// them, or they for the device.
func (ca *CA) unclaimed(ctx context.Context, name string) error {
	records, err := ca.o.Store.Certificates(ctx, Query{Kind: KindOperational, Status: StatusValid, Name: name})
	for _, r := range records {
		if r.Factory == (Hash{}) && r.Client != (Hash{}) && r.Live(ca.now()) == nil {
			return fmt.Errorf("%w: %s has a certificate by a one-time password; revoke it first", ErrEndpoint, name)
		}
	}
	return err
}

// NoteSPKI binds a closed right to the key of the device's receipt. It returns
// ErrUnknown, ErrWrongKey if the right was opened for another key meanwhile, or
// machine.ErrNoRow if it is suspended or deleted.
func (ca *CA) NoteSPKI(ctx context.Context, factory, spki Hash) (Right, error) {
	return ca.changeRight(ctx, factory, EventNote, step{spki: spki})
}

// OpenRight lets the device enrol: with the key spki only, or, if that is zero,
// with the key noted before, or any if none was. A consumed right stays consumed.
// It returns ErrWrongKey if another key was noted or enrolled, ErrUnknown, or
// machine.ErrNoRow if the right is suspended or deleted.
func (ca *CA) OpenRight(ctx context.Context, factory, spki Hash) (Right, error) {
	return ca.changeRight(ctx, factory, EventOpen, step{spki: spki})
}

// CloseRight withdraws a right that was not consumed. machine.ErrNoRow tells that
// the device was faster: one transaction decides the race.
func (ca *CA) CloseRight(ctx context.Context, factory Hash) (Right, error) {
	return ca.changeRight(ctx, factory, EventClose, step{})
}

// SuspendRight stops enrolment and renewal while the device moves to another
// provider. Its certificates stay valid until DeleteRight.
func (ca *CA) SuspendRight(ctx context.Context, factory Hash) (Right, error) {
	return ca.changeRight(ctx, factory, EventSuspend, step{})
}

// ReopenRight opens a suspended or consumed right again, for the key spki only,
// or for any if that is zero. The old certificates stay valid until the device
// has enrolled under it; they are revoked in that transaction. A right
// that was consumed by that very key stays so: the call came late. One that was
// consumed by that key and then suspended is so again, for the device never left
// and may renew. It returns ErrUnknown, ErrWrongKey if the right is open for
// another key, or machine.ErrNoRow if it is closed or deleted.
func (ca *CA) ReopenRight(ctx context.Context, factory, spki Hash) (Right, error) {
	enrolled := func(r Right) bool { return spki != (Hash{}) && r.State == RightConsumed && r.SPKI == spki }
	return again(func() (Right, error) {
		r, err := ca.o.Store.Right(ctx, factory)
		if err != nil {
			return Right{}, err
		}
		on := EventReopen
		if r.State == RightSuspended && spki != (Hash{}) && r.SPKI == spki && r.Issued != (Hash{}) {
			on = EventResume
		}
		s := step{spki: spki, done: enrolled}
		if spki != (Hash{}) {
			s.set = func(r *Right) { r.From, r.Until = time.Time{}, time.Time{} }
		}
		return ca.advance(ctx, r, on, s)
	})
}

// DeleteRight ends the right and revokes the device's certificates for reason, in
// one transaction. It may be repeated.
func (ca *CA) DeleteRight(ctx context.Context, factory Hash, reason Reason) (Right, error) {
	if _, err := reason.Code(); err != nil {
		return Right{}, err
	}
	return ca.changeRight(ctx, factory, EventDelete, step{reason: reason})
}

// Right returns the right of a factory certificate, or ErrUnknown.
func (ca *CA) Right(ctx context.Context, factory Hash) (Right, error) {
	return ca.o.Store.Right(ctx, factory)
}

// Rights returns a page of the rights, see Store.
func (ca *CA) Rights(ctx context.Context, endpoint string, after Hash, limit int) ([]Right, error) {
	return ca.o.Store.Rights(ctx, endpoint, after, limit)
}

// RightStatus returns what the CA states about a right now, to be signed.
func (ca *CA) RightStatus(ctx context.Context, factory Hash) (RightStatus, error) {
	out := RightStatus{
		Issuer: ca.o.Issuer.Subject.CommonName, At: ca.now().Truncate(time.Second), Factory: factory, State: RightClosed,
	}
	r, err := ca.o.Store.Right(ctx, factory)
	if errors.Is(err, ErrUnknown) {
		return out, nil
	}
	if err != nil {
		return RightStatus{}, err
	}
	if r.State != RightDeleted {
		out.State, out.SPKI, out.Issued = r.State, r.SPKI, r.Issued
	}
	return out, nil
}

// VerifyFactory returns ErrFactory unless leaf chains to a listed factory CA now,
// over the given intermediates, and was not revoked by its issuer (that is ErrRevoked
// as well); with Options.ExpiredFactory one that has expired is judged as of its last
// moment.
func (ca *CA) VerifyFactory(ctx context.Context, leaf *x509.Certificate, intermediates [][]byte) error {
	if err := ca.factoryStanding(leaf); err != nil && !errors.Is(err, ErrPending) {
		return err
	}
	listed, err := ca.FactoryCAs(ctx)
	if err != nil {
		return err
	}
	at := ca.now()
	if ca.o.ExpiredFactory && at.After(leaf.NotAfter) { // a policy, RFC 9148 §3
		at = leaf.NotAfter
	}
	hash := chainHash(leaf, intermediates, listed)
	if ca.chains.good(hash, at) {
		return nil
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range listed {
		roots.AddCert(c)
	}
	for _, der := range intermediates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("%w: intermediate: %w", ErrFactory, err)
		}
		between.AddCert(c)
	}
	verified, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFactory, err)
	}
	if leaf.IsCA {
		return fmt.Errorf("%w: %s is a CA", ErrFactory, leaf.Subject)
	}
	ca.chains.keep(hash, verified[0])
	return nil
}

// factoryStanding returns ErrFactory and ErrRevoked for a factory certificate that its permanent
// CA has revoked, and ErrPending if that is not known now.
func (ca *CA) factoryStanding(leaf *x509.Certificate) error {
	if ca.o.FactoryStatus == nil {
		return nil
	}
	revoked, known := ca.o.FactoryStatus(leaf)
	switch {
	case revoked:
		return fmt.Errorf("%w: %w: %s, by its permanent CA", ErrFactory, ErrRevoked, leaf.Subject)
	case !known:
		return &PendingError{Retry: ca.o.Retry, What: "what the permanent CA has revoked is not known now"}
	}
	return nil
}

// stands is factoryStanding for the factory certificate of a right, which the association that a
// request comes by may have been proved by long ago.
func (ca *CA) stands(r Right) error {
	if ca.o.FactoryStatus == nil || len(r.FactoryDER) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(r.FactoryDER)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFactory, err)
	}
	return ca.factoryStanding(leaf)
}

// TrustFactoryCA lists a permanent CA, whose factory certificates may then be
// granted rights. It may be repeated; Revoke takes it off the list for good. It
// returns ErrFactory for a certificate that is no CA's, not valid now, or one of
// our own, and ErrRevoked for one that was taken off.
func (ca *CA) TrustFactoryCA(ctx context.Context, der []byte) error {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFactory, err)
	}
	now := ca.now()
	if !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 || now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: %s is no CA at this time", ErrFactory, c.Subject)
	}
	var issuer Hash
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		issuer = sha256.Sum256(c.Raw)
	}
	r := newRecord(c, issuer, KindFactoryCA, "imported", now)
	if err := ca.insert(ctx, r, "factory_ca.trust"); err != nil {
		return err
	}
	if r, err = ca.o.Store.Certificate(ctx, r.Hash); err != nil {
		return err
	}
	if r.Kind != KindFactoryCA && (!ca.o.Permanent || r.Kind != KindRoot) {
		return fmt.Errorf("%w: %s is our own %s", ErrFactory, c.Subject, r.Kind)
	}
	return r.Live(now)
}

// FactoryCAs returns the listed permanent CAs.
func (ca *CA) FactoryCAs(ctx context.Context) ([]*x509.Certificate, error) {
	records, err := ca.o.Store.Certificates(ctx, Query{Kind: KindFactoryCA, Status: StatusValid})
	if err != nil {
		return nil, err
	}
	if ca.o.Permanent {
		own, err := ca.o.Store.Certificates(ctx, Query{Kind: KindRoot, Status: StatusValid})
		if err != nil {
			return nil, err
		}
		records = append(records, own...)
	}
	var out []*x509.Certificate
	for _, r := range records {
		c, err := r.Certificate()
		if err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}
