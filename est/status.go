package est

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"steward/suit/cose"
)

// MaxStatus bounds a compact status, in bytes.
const MaxStatus = 200

// statusKeyID is how much of the issuing certificate's hash a status says.
const statusKeyID = 8

// A Statement is a compact signed status: what is said of one certificate, in a
// COSE_Sign1 by the responder's key, whose kid is the subjectKeyIdentifier of its
// certificate, over the CBOR array that CONFORMANCE.md defines.
type Statement struct {
	Body       []byte
	This, Next time.Time
}

// statusClaim is what is signed.
type statusClaim struct {
	_ struct{} `cbor:",toarray"`

	Issuer  []byte // first bytes of the SHA-256 of the issuing certificate
	Serial  []byte
	Status  int   // 0 good, 1 revoked
	Reason  *int  // CRLReason; null unless revoked
	Revoked int64 // seconds since 1970; 0 unless revoked
	This    int64
	Next    int64
}

// Status returns the status of the certificate with a serial number in lower-case
// hex, under whichever authority issued it. It returns ErrUnknown.
func (r *Responder) Status(ctx context.Context, serial string) (Statement, error) {
	if len(serial) > 2*maxSerial || strings.Trim(serial, "0123456789abcdef") != "" {
		return Statement{}, fmt.Errorf("%w: serial %.50q", ErrUnknown, serial)
	}
	serial = strings.TrimLeft(serial, "0")
	if serial == "" {
		return Statement{}, fmt.Errorf("%w: serial 0", ErrUnknown)
	}
	r.mu.Lock()
	all := r.delegates
	r.mu.Unlock()
	for _, d := range all {
		k := answerKey{issuer: d.issuer, serial: serial}
		if a, ok := r.kept.get(k, r.ca.now()); ok {
			r.count(func(c *ResponderCounts) { c.Presigned++ })
			return statementOf(a), nil
		}
	}
	err := fmt.Errorf("%w: no authority", ErrUnknown)
	for _, d := range all {
		var a answer
		if a, err = r.make(ctx, d, answerKey{issuer: d.issuer, serial: serial}, certID{}); err == nil {
			r.count(func(c *ResponderCounts) { c.Signed++ })
			return statementOf(a), nil
		}
	}
	return Statement{}, err
}

func statementOf(a answer) Statement { return Statement{Body: a.body, This: a.this, Next: a.next} }

// Signer returns the certificate in DER by which the responder signs for an
// authority, whose certificate verifies it; false if it does not.
func (r *Responder) Signer(issuer Hash) ([]byte, bool) {
	d := r.delegateOf(issuer)
	if d == nil {
		return nil, false
	}
	return d.cert.Raw, true
}

// signStatus signs what is said of a certificate in a.
func (d *delegate) signStatus(ca *CA, serial string, s Standing, a answer) ([]byte, error) {
	number, err := hex.DecodeString(strings.Repeat("0", len(serial)%2) + serial)
	if err != nil {
		return nil, fmt.Errorf("inventory: serial %q: %w", serial, err)
	}
	claim := statusClaim{Issuer: d.keyID, Serial: number, This: a.this.Unix(), Next: a.next.Unix()}
	if s.Status == standingRevoked {
		claim.Status, claim.Reason, claim.Revoked = 1, &s.Reason, s.At.Unix()
	}
	payload, err := cbor.Marshal(claim)
	if err != nil {
		return nil, err
	}
	body, err := cose.SignSign1(d.cose, cose.Options{Payload: payload, Tagged: true, Rand: ca.o.Rand})
	if err == nil && len(body) > MaxStatus {
		return nil, fmt.Errorf("%w: status of %d bytes", ErrLint, len(body))
	}
	return body, err
}
