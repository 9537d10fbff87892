// Package est is a provider's certificate authority: profiles, the policy for
// certificate requests, issuance, one-shot enrolment rights, revocation, and an
// inventory of every certificate that was ever issued.
//
// It speaks no protocol. Package estcoap puts it behind RFC 9148. Time comes
// from the clock in Options, storage from a Store; every change of state and
// its audit row are one transaction of that Store.
package est

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// A Hash is a SHA-256: of a certificate's DER, of a SubjectPublicKeyInfo, or of
// a request's DER. Zero stands for none.
type Hash = [sha256.Size]byte

// Errors of the authority. Those of enrolment have their CoAP codes in estcoap.
var (
	// ErrUnknown reports a certificate or right that the Store does not hold.
	ErrUnknown = errors.New("unknown certificate or right")
	// ErrConflict reports a Change whose rows were changed by somebody else since
	// they were read, or that inserts a certificate twice.
	ErrConflict = errors.New("changed meanwhile")
	// ErrForbidden reports a client that may not have what it asks for.
	ErrForbidden = errors.New("not allowed")
	// ErrPending reports a right that is not open yet; *PendingError says for how
	// long to wait.
	ErrPending = errors.New("right not open yet")
	// ErrWrongKey reports a request for another key than the right is bound to.
	ErrWrongKey = errors.New("right is bound to another key")
	// ErrCSR reports a request that does not parse, or does not prove possession
	// of its key.
	ErrCSR = errors.New("unusable certificate request")
	// ErrCSRSize reports a request above MaxCSR.
	ErrCSRSize = errors.New("certificate request too large")
	// ErrKey reports a key of a kind that the profile does not accept.
	ErrKey = errors.New("key not accepted")
	// ErrName reports a subject or subjectAltName that is not the client's own.
	ErrName = errors.New("name does not belong to the client")
	// ErrRevoked reports a certificate that was revoked, or replaced for good.
	ErrRevoked = errors.New("certificate revoked")
	// ErrExpired reports a certificate outside its validity.
	ErrExpired = errors.New("certificate outside its validity")
	// ErrFactory reports a factory certificate that does not chain to a listed
	// factory CA at this time, or a certificate that cannot be such a CA.
	ErrFactory = errors.New("not a factory certificate of a listed CA")
	// ErrEndpoint reports an endpoint name that another factory certificate holds.
	ErrEndpoint = errors.New("endpoint belongs to another factory certificate")
	// ErrMoving reports a device that is being handed over to another provider.
	ErrMoving = errors.New("device is being handed over")
	// ErrLimit reports a client that asks too often, or too many of them;
	// *LimitError says for how long to wait.
	ErrLimit = errors.New("too many requests")
	// ErrBinding reports a request that is not bound to its session, where the profile
	// demands that (RFC 7030 §3.5).
	ErrBinding = errors.New("request is not bound to its session")
	// ErrEncryption reports a client that wants the key made for it encrypted (RFC
	// 7030 §4.4.1), which is not built.
	ErrEncryption = errors.New("encryption of keys is not implemented")
	// ErrKeyGone reports a request repeated after the key made for it was forgotten.
	ErrKeyGone = errors.New("key made for this request is no longer kept")
	// ErrUpstream reports an answer of an external CA that is not what was asked for.
	ErrUpstream = errors.New("unusable answer of the external CA")
	// ErrDeclined reports an external CA that will not make a certificate.
	ErrDeclined = errors.New("declined by the external CA")
	// ErrOrigin reports an origin of a key that is none of those there are.
	ErrOrigin = errors.New("unknown origin of a key")
	// ErrProfile reports a profile that cannot be used as written.
	ErrProfile = errors.New("unusable profile")
	// ErrLint reports a certificate that would not conform to its profile or to
	// RFC 5280. Nothing is issued.
	ErrLint = errors.New("certificate does not conform")
	// ErrToken reports a token that was redeemed before, or belongs to another Issuer.
	ErrToken = errors.New("issuance token not redeemable")
	// ErrSigner reports that the authority's key cannot be used now: its token is
	// away. Nothing was issued; the same request will do later.
	ErrSigner = errors.New("signing key not available now")
	// ErrReason reports a revocation reason that RFC 5280 §5.3.1 does not name.
	ErrReason = errors.New("unknown revocation reason")
	// ErrOptions reports Options without what the authority needs.
	ErrOptions = errors.New("unusable options")
)

// A PendingError is ErrPending with the time after which to ask again.
type PendingError struct {
	Retry time.Duration
	What  string // that is waited for, in words; "": that the right opens
}

func (e *PendingError) Error() string {
	if e.What != "" {
		return fmt.Sprintf("%s, retry after %v", e.What, e.Retry)
	}
	return fmt.Sprintf("%v, retry after %v", ErrPending, e.Retry)
}

// Is makes errors.Is(err, ErrPending) true.
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// SPKI returns the SHA-256 of the SubjectPublicKeyInfo of pub, which names a key
// in rights and receipts. It returns ErrKey for a key that X.509 cannot carry.
func SPKI(pub crypto.PublicKey) (Hash, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Hash{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return sha256.Sum256(der), nil
}
