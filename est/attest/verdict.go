package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"
)

// VerdictProfile is the profile of attestation results (draft-ietf-rats-ear).
const VerdictProfile = "tag:github.com,2023:veraison/ear"

const (
	verdictAAD = "steward/verdict/1"
	// PolicyID names what Appraise does, in verdicts.
	PolicyID = "tag:steward.example,2026:policy/1"
	// VerdictLife is how long a verdict says that it is good. Providers of a transfer
	// take it at once, and keep it as evidence.
	VerdictLife = 24 * time.Hour
	developer   = "Steward"
	submodule   = "device" // the only one
	maxTime     = 253402300799
	keyIDLength = 8
)

// statuses are the tiers as attestation results write them.
var statuses = [...]Claim{ClaimNone, ClaimAffirming, ClaimWarning, ClaimContraindicated}

// A Verdict is what a verifier says of a device.
type Verdict struct {
	Issuer   string // the provider whose verifier it is
	IssuedAt time.Time
	Expires  time.Time
	Nonce    []byte
	Device   Hash // of the factory certificate
	Tier     Tier
	Vector   Vector
	Reason   string
	Key      Hash // SPKI of the key that the evidence named
	Message  Hash // zero: of no transfer
}

type wireVerdict struct {
	Issuer   string                `cbor:"1,keyasint"`
	Expires  uint64                `cbor:"4,keyasint"`
	IssuedAt uint64                `cbor:"6,keyasint"`
	Nonce    []byte                `cbor:"10,keyasint"`
	Profile  string                `cbor:"265,keyasint"`
	Modules  map[string]wireModule `cbor:"266,keyasint"`
	Verifier wireVerifier          `cbor:"1004,keyasint"`
	Terms    wireVerdictTerms      `cbor:"-65537,keyasint"`
}

type wireModule struct {
	Status Claim  `cbor:"1000,keyasint"`
	Vector Vector `cbor:"1001,keyasint"`
	Policy string `cbor:"1003,keyasint"`
}

type wireVerifier struct {
	Developer string `cbor:"0,keyasint"`
	Build     string `cbor:"1,keyasint"`
}

type wireVerdictTerms struct {
	Device  Hash   `cbor:"21,keyasint"`
	Message Hash   `cbor:"22,keyasint,omitzero"`
	Key     Hash   `cbor:"26,keyasint"`
	Tier    Tier   `cbor:"34,keyasint"`
	Reason  string `cbor:"35,keyasint"`
}

// NewVerdict returns the verdict of an appraisal.
func NewVerdict(issuer string, e *Evidence, a *Appraisal, now time.Time) (Verdict, error) {
	key, err := SPKI(e.Key)
	return Verdict{
		Issuer: issuer, IssuedAt: now, Expires: now.Add(VerdictLife), Nonce: e.Nonce, Device: e.Device, Tier: a.Tier(),
		Vector: a.Vector, Reason: a.Reason(), Key: key, Message: e.Message,
	}, err
}

// A Signer is the verifier's key with the certificate under which others know it.
type Signer struct {
	Key         crypto.Signer
	Certificate []byte // DER
}

// Sign returns the verdict signed by the verifier. It returns ErrKey or ErrValue.
func (v Verdict) Sign(by Signer) ([]byte, error) {
	if err := v.validate(); err != nil {
		return nil, err
	}
	payload, err := encode(wireVerdict{
		Issuer: v.Issuer, Expires: uint64(v.Expires.Unix()), IssuedAt: uint64(v.IssuedAt.Unix()), //nolint:gosec // validated
		Nonce: v.Nonce, Profile: VerdictProfile,
		Modules:  map[string]wireModule{submodule: {statuses[v.Tier], v.Vector, PolicyID}},
		Verifier: wireVerifier{developer, v.Issuer},
		Terms:    wireVerdictTerms{v.Device, v.Message, v.Key, v.Tier, v.Reason},
	})
	if err != nil {
		return nil, err
	}
	return sign(by.Key, keyIDOf(by.Certificate), payload, verdictAAD, MaxVerdict)
}

func keyIDOf(certificate []byte) []byte {
	sum := sha256.Sum256(certificate)
	return sum[:keyIDLength]
}

func (v *Verdict) validate() error {
	issued, expires := v.IssuedAt.Unix(), v.Expires.Unix()
	return refuse([]claim{
		{v.Issuer != "" && len(v.Issuer) <= maxText, "issuer"},
		{issued > 0 && issued < expires && expires <= maxTime, "time"},
		{len(v.Nonce) >= minNonce && len(v.Nonce) <= maxNonce, "nonce"},
		{v.Device != Hash{}, "device"},
		{v.Tier <= TierContraindicated && v.Tier == v.Vector.Tier(), "tier"},
		{v.Reason != "" && len(v.Reason) <= maxText, "reason"},
		{v.Key != Hash{}, "key"},
	})
}

// ParseVerdict reads a verdict whose signature is not checked. It returns
// ErrTooLarge, ErrSyntax, ErrProfile or ErrValue.
func ParseVerdict(raw []byte) (*Verdict, error) {
	message, err := parse(raw, MaxVerdict)
	if err != nil {
		return nil, err
	}
	var w wireVerdict
	if err := decode(message.Payload, &w); err != nil {
		return nil, err
	}
	module, ok := w.Modules[submodule]
	switch {
	case w.Profile != VerdictProfile:
		return nil, fmt.Errorf("attest: %.64q: %w", w.Profile, ErrProfile)
	case !ok || len(w.Modules) != 1 || module.Policy != PolicyID:
		return nil, fmt.Errorf("attest: submodules: %w", ErrValue)
	case w.Terms.Tier > TierContraindicated || module.Status != statuses[w.Terms.Tier]:
		return nil, fmt.Errorf("attest: tier: %w", ErrValue)
	case w.Expires > maxTime || w.IssuedAt > maxTime:
		return nil, fmt.Errorf("attest: time: %w", ErrValue)
	}
	v := &Verdict{
		Issuer: w.Issuer, IssuedAt: time.Unix(int64(w.IssuedAt), 0).UTC(),
		Expires: time.Unix(int64(w.Expires), 0).UTC(),
		Nonce:   w.Nonce, Device: w.Terms.Device, Tier: w.Terms.Tier, Vector: module.Vector, Reason: w.Terms.Reason,
		Key: w.Terms.Key, Message: w.Terms.Message,
	}
	return v, v.validate()
}

// VerifyVerdict reads a verdict and checks that by has signed it. It returns
// ErrKey or ErrSignature beside the errors of ParseVerdict.
func VerifyVerdict(raw []byte, by *x509.Certificate) (*Verdict, error) {
	v, err := ParseVerdict(raw)
	if err != nil {
		return nil, err
	}
	message, err := parse(raw, MaxVerdict)
	if err != nil {
		return nil, err
	}
	if by == nil || string(message.KeyID()) != string(keyIDOf(by.Raw)) {
		return nil, fmt.Errorf("attest: signed by another verifier: %w", ErrKey)
	}
	key, ok := by.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("attest: verifier's key: %w", ErrKey)
	}
	return v, verify(message, key, verdictAAD)
}
