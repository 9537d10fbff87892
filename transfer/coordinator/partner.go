package coordinator

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"
)

// A PartnerKind says what a partner is.
type PartnerKind string

// The kinds of partners.
const (
	Provider    PartnerKind = "provider"
	ServiceUser PartnerKind = "service_user" // signs mandates
)

// A PartnerState says whether a partner may do anything.
type PartnerState string

// The states of a partner.
const (
	Active    PartnerState = "active"
	Suspended PartnerState = "suspended" // nothing is accepted, rows before COMMITTED wait
	Rotating  PartnerState = "rotating"  // next keys are announced; otherwise as active
)

// A Partner is another provider, or a service user, whose keys are pinned.
type Partner struct {
	ID      string
	Name    string // as messages say it; unique
	Label   string // how people here call it
	Kind    PartnerKind
	State   PartnerState
	PeerURI string // https URI of its peer API; "" for a service user
	TLS     []byte // DER of the certificate of its peer listener; nil for a service user
	Signing []byte // DER of the certificate that its messages are signed with
	Issuing []byte // DER of its issuing CA, which signs the statuses of rights; nil: Signing does
	// Verifier is the DER of the certificate that its verdicts on devices are signed
	// with; nil: it has no verifier.
	Verifier []byte
	Limits   Limits // on what it may ask of us
	// Demands is the name of the provider whose verdict on devices is demanded in
	// transfers to the partner, unless their draft says otherwise; "": the partner's,
	// if any.
	Demands string `json:",omitempty"`
	Rotation
	AddedAt time.Time
	AddedBy string
	Version int64 // rises by one with each change; 0: not stored
}

// TLSKey returns the SHA-256 of the pinned TLS key (SubjectPublicKeyInfo), zero
// if there is none.
func (p Partner) TLSKey() [sha256.Size]byte { return spkiOf(p.TLS) }

// SigningKey returns the SHA-256 of the pinned signing key.
func (p Partner) SigningKey() [sha256.Size]byte { return spkiOf(p.Signing) }

// Admitted reports whether the partner may do anything.
func (p Partner) Admitted() bool { return p.State == Active || p.State == Rotating }

// SPKI returns the SHA-256 of a certificate's SubjectPublicKeyInfo: what is
// pinned of it.
func SPKI(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

func spkiOf(der []byte) [sha256.Size]byte {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return SPKI(c)
}

// signer returns the certificate that p's messages are verified with.
func (p Partner) signer() (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(p.Signing)
	if err != nil {
		return nil, fmt.Errorf("partner %s: signing certificate: %w", p.Name, err)
	}
	return c, nil
}

func encodePEM(der []byte) string {
	if len(der) == 0 {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// partnerNamed returns the partner of a name, or ErrUnknown.
func (c *Coordinator) partnerNamed(ctx context.Context, name string) (Partner, error) {
	all, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return Partner{}, err
	}
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
	}
	return Partner{}, fmt.Errorf("partner %.80q: %w", name, ErrUnknown)
}
