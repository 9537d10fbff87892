package attest

import (
	"errors"
	"fmt"

	"steward/lwm2m/dcbor"
)

// The bounds of what is decoded, checked before anything is allocated.
const (
	// MaxEvidence is the length in bytes of the longest evidence: two kilobytes hold
	// sixteen measured components.
	MaxEvidence = 4096
	// MaxVerdict is the length in bytes of the longest verdict.
	MaxVerdict = 2048
	// MaxComponents is the number of components that evidence may measure.
	MaxComponents = 16
	// MaxReferences is the number of reference values of one device.
	MaxReferences = 64
	maxText       = 255 // bytes of a reason, an issuer
	maxDigest     = 64  // SHA-512
	maxComponent  = 128 // bytes of a component identifier
	maxDepth      = 8
	maxNonce      = 64 // RFC 9711 §4.1
	minNonce      = 8
)

// The reasons for which evidence and verdicts are refused.
var (
	// ErrSyntax reports bytes that are not the token in deterministic CBOR.
	ErrSyntax = errors.New("malformed attestation token")
	// ErrTooLarge reports more bytes than the limit.
	ErrTooLarge = errors.New("attestation token too large")
	// ErrValue reports a claim outside its range.
	ErrValue = errors.New("attestation claim out of range")
	// ErrProfile reports a token of another profile.
	ErrProfile = errors.New("unknown profile of attestation tokens")
	// ErrKey reports a key that cannot sign here: none, or another kind than P-256.
	ErrKey = errors.New("unusable attestation key")
	// ErrSignature reports a signature that is not of the expected key.
	ErrSignature = errors.New("attestation signature does not verify")
	// ErrNonce reports a nonce that was not given to this device for this purpose.
	ErrNonce = errors.New("unknown nonce")
	// ErrExpired reports a nonce that was given too long ago.
	ErrExpired = errors.New("attestation is not fresh")
	// ErrSpent reports a nonce that was used before.
	ErrSpent = errors.New("nonce was used before")
	// ErrBusy reports a verifier that remembers as many nonces as it may.
	ErrBusy = errors.New("too many attestations at once")
	// ErrUnknown reports a device whose attestation key is not known.
	ErrUnknown = errors.New("no attestation key of this device")
)

// strict reads and writes all tokens.
var strict = dcbor.New(dcbor.Limits{Depth: maxDepth, Elements: MaxReferences, Pairs: 16})

func encode(v any) ([]byte, error) {
	raw, err := strict.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("attest: %w: %w", ErrValue, err)
	}
	return raw, nil
}

// decode reads raw into v. Encoding v again must give raw.
func decode(raw []byte, v any) error {
	if err := strict.Read(raw, v); err != nil {
		return fmt.Errorf("attest: %w: %w", ErrSyntax, err)
	}
	return nil
}

// refuse returns ErrValue with the first claim that does not hold.
func refuse(claims []claim) error {
	for _, c := range claims {
		if !c.holds {
			return fmt.Errorf("attest: %s: %w", c.what, ErrValue)
		}
	}
	return nil
}

// A claim is what must hold, and how to call it if it does not.
type claim struct {
	holds bool
	what  string
}
