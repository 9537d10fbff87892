package est

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// A Status is the state of a certificate in the inventory. Expiry is no status:
// it follows from the dates.
type Status string

// The states of a certificate. Nothing leads back from Revoked.
const (
	StatusValid   Status = "valid"
	StatusRevoked Status = "revoked"
)

// A Reason is why a certificate was revoked: a CRLReason of RFC 5280 §5.3.1.
type Reason string

// The reasons that Steward gives. certificateHold and removeFromCRL are not
// among them, for a revoked certificate never becomes valid again.
const (
	Unspecified          Reason = "unspecified"
	KeyCompromise        Reason = "keyCompromise"
	CACompromise         Reason = "cACompromise"
	AffiliationChanged   Reason = "affiliationChanged"
	Superseded           Reason = "superseded"
	CessationOfOperation Reason = "cessationOfOperation"
	PrivilegeWithdrawn   Reason = "privilegeWithdrawn"
)

// reasons stand at their CRLReason numbers; 6 to 8 are none of ours.
var reasons = [...]Reason{
	0: Unspecified, 1: KeyCompromise, 2: CACompromise, 3: AffiliationChanged, 4: Superseded,
	5: CessationOfOperation, 9: PrivilegeWithdrawn,
}

// Code returns the CRLReason number, or ErrReason.
func (r Reason) Code() (int, error) {
	code := slices.Index(reasons[:], r)
	if r == "" || code < 0 {
		return 0, fmt.Errorf("%w: %q", ErrReason, r)
	}
	return code, nil
}

// ReasonOf returns the reason with a CRLReason number, or ErrReason.
func ReasonOf(code int) (Reason, error) {
	if code < 0 || code >= len(reasons) || reasons[code] == "" {
		return "", fmt.Errorf("%w: %d", ErrReason, code)
	}
	return reasons[code], nil
}

// A Record is one certificate in the inventory. All but the fields below
// Version stay as they were inserted.
type Record struct {
	Hash      Hash   // of DER; the record's name
	Issuer    Hash   // of the issuer's DER; of its own for a root
	Serial    string // lower-case hex
	SPKI      Hash
	Kind      Kind
	Profile   string
	Name      string // commonName; a device's endpoint
	Factory   Hash   // operational: of the device's factory certificate; zero: it has none
	NotBefore time.Time
	NotAfter  time.Time
	IssuedAt  time.Time
	// Client (hash of the certificate that asked) and CSR (hash of the request)
	// let a repeated request find its answer; zero if nobody asked over EST.
	Client, CSR Hash
	Supersedes  Hash // the certificate that this one renews; zero: none
	DER         []byte

	Version    int64 // of the fields below; 1 when inserted
	Status     Status
	Reason     Reason // empty unless revoked
	Why        string // in words; empty unless revoked
	RevokedAt  time.Time
	UsedAt     time.Time // first use seen of a renewing certificate; zero: none
	ReplacedBy Hash      // the certificate that renews this one; zero: none
	ReplacedAt time.Time
}

// Certificate parses the record's DER.
func (r Record) Certificate() (*x509.Certificate, error) { return x509.ParseCertificate(r.DER) }

// RekeyOverlap is how long a renewed certificate stays valid beside the one that
// renews it, if that one is never used (transfer protocol §1.8).
const RekeyOverlap = 24 * time.Hour

// Live returns nil if the certificate is good at now, else ErrRevoked or ErrExpired.
func (r Record) Live(now time.Time) error {
	switch {
	case r.Status != StatusValid:
		return fmt.Errorf("%w: %s %s: %s", ErrRevoked, r.Kind, r.Name, r.Reason)
	case !r.ReplacedAt.IsZero() && !now.Before(r.ReplacedAt.Add(RekeyOverlap)):
		return fmt.Errorf("%w: %s %s: %s", ErrRevoked, r.Kind, r.Name, Superseded)
	case now.Before(r.NotBefore) || now.After(r.NotAfter):
		return fmt.Errorf("%w: %s %s", ErrExpired, r.Kind, r.Name)
	}
	return nil
}

// newRecord describes a certificate just issued, or imported, at now.
func newRecord(c *x509.Certificate, issuer Hash, kind Kind, profile string, now time.Time) Record {
	return Record{
		Hash: sha256.Sum256(c.Raw), Issuer: issuer, Serial: fmt.Sprintf("%x", c.SerialNumber),
		SPKI: sha256.Sum256(c.RawSubjectPublicKeyInfo), Kind: kind, Profile: profile,
		Name: c.Subject.CommonName, NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		IssuedAt: stamp(now), DER: c.Raw, Version: 1, Status: StatusValid,
	}
}

// stamp returns now as it is stored: UTC, whole microseconds.
func stamp(now time.Time) time.Time { return now.UTC().Truncate(time.Microsecond) }
