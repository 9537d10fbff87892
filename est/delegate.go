package est

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"steward/suit/cose"
)

// renewDelegate is how long before its end a responder's certificate is renewed:
// longer than any answer under it is good.
const renewDelegate = 10 * day

// A delegate signs statuses for one authority (RFC 6960 §4.2.2.2).
type delegate struct {
	issuer Hash
	key    crypto.Signer
	cert   *x509.Certificate
	id     []byte // byKey
	ids    []issuerID
	keyID  []byte // of the issuer, in compact statuses
	cose   *cose.Signer
}

// newDelegate finds the certificate by which key signs for a, or issues one.
func (ca *CA) newDelegate(ctx context.Context, a Authority, key crypto.Signer) (*delegate, error) {
	cert, err := ca.delegated(ctx, a, key.Public())
	if err != nil {
		return nil, err
	}
	d := &delegate{issuer: a.Hash(), key: key, cert: cert}
	if d.id, err = responderID(cert); err != nil {
		return nil, err
	}
	if d.ids, err = issuerIDs(a.Certificate); err != nil {
		return nil, err
	}
	d.keyID = d.issuer[:statusKeyID]
	d.cose, err = cose.NewSigner(key, 0, cert.SubjectKeyId)
	return d, err
}

// delegated returns the certificate under a for a responder's key: that of the
// inventory if it is good for a while, else a new one.
func (ca *CA) delegated(ctx context.Context, a Authority, key crypto.PublicKey) (*x509.Certificate, error) {
	spki, err := SPKI(key)
	if err != nil {
		return nil, err
	}
	now := ca.now()
	have, err := ca.o.Store.Certificates(ctx, Query{
		Kind: KindOCSPSigner, Status: StatusValid, SPKI: spki, Issuer: a.Hash(), Limit: 1,
	})
	if err != nil {
		return nil, err
	}
	if len(have) > 0 && now.Add(renewDelegate).Before(have[0].NotAfter) {
		return have[0].Certificate()
	}
	issuer, err := ca.issuerOf(a)
	if err != nil {
		return nil, err
	}
	p := ca.o.Profiles.OCSPSigner
	name := a.Certificate.Subject.CommonName + " OCSP"
	if len(name) > MaxName {
		name = "OCSP responder"
	}
	cert, r, err := ca.signBy(issuer, p, Subject{Name: name, Key: key})
	if err != nil {
		return nil, err
	}
	_, err = ca.entered(ctx, cert, r, nil)
	return cert, err
}

// standing says what is known of the certificate that an authority issued with a
// serial number. The error is the Store's.
func (ca *CA) standing(ctx context.Context, issuer Hash, serial string, now time.Time) (Standing, error) {
	if r, ok := ca.ledger.straySerial(issuer, serial); ok {
		return revokedStanding(r.At, r.Reason)
	}
	records, err := ca.o.Store.Certificates(ctx, Query{Serial: serial, Issuer: issuer, Limit: 1})
	if err != nil || len(records) == 0 {
		return Standing{Status: standingUnknown}, err
	}
	r := records[0]
	switch {
	case r.Status == StatusRevoked:
		return revokedStanding(r.RevokedAt, r.Reason)
	case errors.Is(r.Live(now), ErrRevoked): // replaced, and nobody has written it down yet
		return revokedStanding(r.ReplacedAt.Add(RekeyOverlap), Superseded)
	}
	return Standing{Status: standingGood}, nil
}

func revokedStanding(at time.Time, reason Reason) (Standing, error) {
	code, err := reason.Code()
	if err != nil {
		return Standing{}, fmt.Errorf("inventory: %w", err)
	}
	return Standing{Status: standingRevoked, At: at, Reason: code}, nil
}
