package web

import (
	"context"
	"time"
)

// Certificates reads the inventory of the embedded CA and revokes.
type Certificates interface {
	// ListCertificates returns the certificates that match, in the order that the
	// filter says.
	ListCertificates(ctx context.Context, f CertificateFilter, p Page) (List[Certificate], error)
	// Certificate returns one by the hex of the SHA-256 of its DER.
	Certificate(ctx context.Context, id string) (CertificateDetail, error)
	// Revoke revokes a certificate for ever. Sessions that used it end with it.
	// It returns ErrConflict for one that is revoked already or is the CA itself.
	Revoke(ctx context.Context, by Actor, id string, r Revocation) (Certificate, error)
	// Authorities returns this provider's own CA certificates, the root last.
	Authorities(ctx context.Context) ([]CertificateDetail, error)
	// Inventory counts them all, as of a few seconds ago at most.
	Inventory(ctx context.Context) (Inventory, error)
}

// A CertificateState says whether a certificate counts.
type CertificateState string

// The states of a certificate.
const (
	CertificateLive    CertificateState = "live"
	CertificateExpired CertificateState = "expired"
	CertificateRevoked CertificateState = "revoked"
)

// A Certificate is one line of the inventory.
type Certificate struct {
	ID        string           `json:"id"`     // hex SHA-256 of the DER
	Serial    string           `json:"serial"` // hex
	Subject   string           `json:"subject"`
	Issuer    string           `json:"issuer"`
	Kind      string           `json:"kind"` // what it is for: operational, server, transfer-signer …
	Profile   string           `json:"profile"`
	Device    string           `json:"device,omitempty"` // id; "" for one of no device
	State     CertificateState `json:"state"`
	NotBefore time.Time        `json:"not_before"`
	NotAfter  time.Time        `json:"not_after"`
	RevokedAt time.Time        `json:"revoked_at,omitzero"`
	Reason    string           `json:"reason,omitempty"` // of the revocation, RFC 5280 §5.3.1
}

// A CertificateDetail is a certificate with its content.
type CertificateDetail struct {
	Certificate

	SPKI     string        `json:"spki"` // hex SHA-256 of the public key
	Key      string        `json:"key"`  // "ECDSA P-256"
	KeyUsage Array[string] `json:"key_usage"`
	Names    Array[string] `json:"names"` // subject alternative names
	PEM      string        `json:"pem"`

	DERBytes  int `json:"der_bytes"`
	C509Bytes int `json:"c509_bytes"` // as C509 of type 3, from which DER is rebuilt; 0: it has no such form
}

// Revocation reasons that may be given (RFC 5280 §5.3.1).
const (
	ReasonUnspecified = "unspecified"
	ReasonCompromise  = "keyCompromise"
	ReasonSuperseded  = "superseded"
	ReasonCessation   = "cessationOfOperation"
	ReasonAffiliation = "affiliationChanged"
	ReasonWithdrawn   = "privilegeWithdrawn"
)

// RevocationReasons lists them, the usual one first.
func RevocationReasons() []string {
	return []string{
		ReasonCessation, ReasonCompromise, ReasonSuperseded, ReasonWithdrawn, ReasonAffiliation, ReasonUnspecified,
	}
}

// A Revocation says why.
type Revocation struct {
	Reason string `json:"reason"`            // one of the Reason constants
	Why    string `json:"comment,omitempty"` // for the audit row
}
