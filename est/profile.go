package est

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"
)

// A Kind says what a certificate is for. It decides the extensions.
type Kind string

// The kinds in an inventory.
const (
	KindRoot           Kind = "root"
	KindIssuing        Kind = "issuing"
	KindServer         Kind = "server"          // our EST, LwM2M and HTTP servers
	KindPeer           Kind = "peer"            // mutual TLS between providers
	KindTransferSigner Kind = "transfer-signer" // signs transfer messages
	KindSUITSigner     Kind = "suit-signer"     // signs manifests
	KindVerdictSigner  Kind = "verdict-signer"  // signs verdicts of the attestation verifier
	KindOCSPSigner     Kind = "ocsp-signer"     // signs statuses for one issuing CA
	KindFactory        Kind = "factory"         // a device's permanent identity
	KindOperational    Kind = "operational"     // a device's identity at one provider
	KindFactoryCA      Kind = "factory-ca"      // listed as trusted, not issued here
)

// A KeyAlgorithm is a kind of subject key.
type KeyAlgorithm string

// The subject keys that profiles may accept.
const (
	P256    KeyAlgorithm = "P-256"
	P384    KeyAlgorithm = "P-384"
	Ed25519 KeyAlgorithm = "Ed25519"
)

// ProfileOptions is a profile as an operator writes it.
type ProfileOptions struct {
	Name     string        // stands in the inventory; required
	Kind     Kind          // required; not KindFactoryCA
	Validity time.Duration // from the moment of issue; required unless NoExpiry
	Backdate time.Duration // how far notBefore lies in the past; zero: DefaultBackdate
	// NoExpiry sets notAfter to 99991231235959Z (RFC 5280 §4.1.2.5), as factory
	// certificates of devices have it. Validity must then be zero.
	NoExpiry bool
	Keys     []KeyAlgorithm // subject keys accepted; empty: all three
	PathLen  int            // CAs only: how many CAs may follow below

	Pointers PointerRule // whether certificates name Options.Pointers
	// NoRevAvail has certificates say that nobody publishes their revocation (RFC
	// 9608), for a Validity of at most MaxNoRevAvail. Not for CAs.
	NoRevAvail bool

	// ServerKeys lets the CA make the keys of devices that ask for it (RFC 7030 §4.4).
	// Operational profiles only.
	ServerKeys bool
	// Approval has a person approve each first enrolment. Operational profiles only.
	Approval bool
	// Binding demands that a request is bound to its session by challengePassword (RFC
	// 7030 §3.5). Operational profiles only.
	Binding bool
}

// Bounds of a profile.
const (
	DefaultBackdate = time.Hour                 // clocks of devices run slow more often than fast
	maxBackdate     = 7 * 24 * time.Hour        // more would hide when a certificate was made
	maxLeafValidity = 10 * 366 * 24 * time.Hour // beyond that, use NoExpiry and say so
	maxCAValidity   = 50 * 366 * 24 * time.Hour // RFC 5280 UTCTime ends in 2049; later is GeneralizedTime
	maxPathLen      = 3                         // deeper chains do not fit a constrained handshake
)

// A Profile is a validated profile. It is immutable.
type Profile struct {
	name               string
	kind               Kind
	validity, backdate time.Duration
	noExpiry           bool
	keys               []KeyAlgorithm
	pathLen            int
	shape              shape

	serverKeys, approval, binding bool
	pointing, noRevAvail          bool
}

// A shape is what a Kind decides about a certificate.
type shape struct {
	ca       bool
	usage    x509.KeyUsage
	extended []x509.ExtKeyUsage
	unknown  []asn1.ObjectIdentifier
	keyID    bool // carries subjectKeyIdentifier; device certificates save the bytes
	host     bool // has a host name or address in subjectAltName
}

// Extended key usages that crypto/x509 has no constant for.
var (
	oidCMCRA           = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28} // RFC 6402 §2.10
	oidDocumentSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36} // RFC 9336 §3
)

func shapeOf(k Kind) (shape, bool) {
	switch k {
	case KindRoot, KindIssuing:
		return shape{ca: true, keyID: true, usage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, true
	case KindServer: // cmcRA: else strict clients refuse it as EST server (RFC 7030 §3.6.1)
		return shape{
			usage: x509.KeyUsageDigitalSignature, extended: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			unknown: []asn1.ObjectIdentifier{oidCMCRA}, keyID: true, host: true,
		}, true
	case KindPeer:
		return shape{
			usage:    x509.KeyUsageDigitalSignature,
			extended: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, keyID: true, host: true,
		}, true
	case KindTransferSigner, KindVerdictSigner:
		return shape{
			usage: x509.KeyUsageDigitalSignature, unknown: []asn1.ObjectIdentifier{oidDocumentSigning}, keyID: true,
		}, true
	case KindSUITSigner:
		return shape{
			usage: x509.KeyUsageDigitalSignature, extended: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, keyID: true,
		}, true
	case KindOCSPSigner: // RFC 6960 §4.2.2.2
		return shape{
			usage: x509.KeyUsageDigitalSignature, extended: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, keyID: true,
		}, true
	case KindFactory: // IEEE 802.1AR §8 wants no extended key usage
		return shape{usage: x509.KeyUsageDigitalSignature}, true
	case KindOperational:
		return shape{
			usage: x509.KeyUsageDigitalSignature, extended: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, true
	default:
		return shape{}, false
	}
}

// NewProfile validates o. It returns ErrProfile with what is wrong.
func NewProfile(o ProfileOptions) (*Profile, error) {
	sh, ok := shapeOf(o.Kind)
	backdate := o.Backdate
	if backdate == 0 {
		backdate = DefaultBackdate
	}
	most := maxLeafValidity
	if sh.ca {
		most = maxCAValidity
	}
	keys := slices.Clone(o.Keys)
	if len(keys) == 0 {
		keys = []KeyAlgorithm{P256, P384, Ed25519}
	}
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: kind %q", ErrProfile, o.Kind)
	case o.Name == "":
		return nil, fmt.Errorf("%w: no name", ErrProfile)
	case o.NoExpiry && o.Validity != 0:
		return nil, fmt.Errorf("%w: %s: validity and no expiry", ErrProfile, o.Name)
	case !o.NoExpiry && (o.Validity < time.Second || o.Validity > most):
		return nil, fmt.Errorf("%w: %s: validity %v", ErrProfile, o.Name, o.Validity)
	case backdate < 0 || backdate > maxBackdate:
		return nil, fmt.Errorf("%w: %s: backdate %v", ErrProfile, o.Name, backdate)
	case o.PathLen < 0 || o.PathLen > maxPathLen || o.PathLen > 0 && !sh.ca:
		return nil, fmt.Errorf("%w: %s: path length %d", ErrProfile, o.Name, o.PathLen)
	case (o.ServerKeys || o.Approval || o.Binding) && o.Kind != KindOperational:
		return nil, fmt.Errorf("%w: %s: devices do not ask for certificates of kind %s", ErrProfile, o.Name, o.Kind)
	}
	if err := cmp.Or(checkKeys(o.Name, keys), o.checkRevocation(sh.ca)); err != nil {
		return nil, err
	}
	return &Profile{
		pointing: o.Pointers.pointing(o.Kind) && !o.NoRevAvail, noRevAvail: o.NoRevAvail,
		name: o.Name, kind: o.Kind, validity: o.Validity, backdate: backdate, noExpiry: o.NoExpiry,
		keys: keys, pathLen: o.PathLen, shape: sh,
		serverKeys: o.ServerKeys, approval: o.Approval, binding: o.Binding,
	}, nil
}

// checkKeys returns ErrProfile for a key that is none of ours.
func checkKeys(profile string, keys []KeyAlgorithm) error {
	for _, k := range keys {
		if k != P256 && k != P384 && k != Ed25519 {
			return fmt.Errorf("%w: %s: key %q", ErrProfile, profile, k)
		}
	}
	return nil
}

// Name returns the name that stands in the inventory.
func (p *Profile) Name() string { return p.name }

// Kind returns what certificates of p are for.
func (p *Profile) Kind() Kind { return p.kind }

// noExpiryDate is the notAfter of a certificate that never expires (RFC 5280 §4.1.2.5).
var noExpiryDate = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// window returns the validity of a certificate issued now by a CA that itself is
// valid from notBefore to notAfter: never longer than the CA's, unless p has no expiry.
func (p *Profile) window(now time.Time, issuer *x509.Certificate) (notBefore, notAfter time.Time) {
	now = now.UTC().Truncate(time.Second)
	notBefore = now.Add(-p.backdate)
	notAfter = now.Add(p.validity - time.Second) // both ends count (RFC 5280 §4.1.2.5)
	if p.noExpiry {
		notAfter = noExpiryDate
	}
	if issuer == nil {
		return notBefore, notAfter
	}
	if notBefore.Before(issuer.NotBefore) {
		notBefore = issuer.NotBefore
	}
	if !p.noExpiry && notAfter.After(issuer.NotAfter) {
		notAfter = issuer.NotAfter
	}
	return notBefore, notAfter
}

// accepts returns ErrKey unless pub is of an algorithm that p lists.
func (p *Profile) accepts(pub crypto.PublicKey) error {
	alg, err := algorithmOf(pub)
	if err != nil {
		return err
	}
	if !slices.Contains(p.keys, alg) {
		return fmt.Errorf("%w: %s by profile %s", ErrKey, alg, p.name)
	}
	return nil
}

func algorithmOf(pub crypto.PublicKey) (KeyAlgorithm, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return P256, nil
		case elliptic.P384():
			return P384, nil
		}
		return "", fmt.Errorf("%w: curve %s", ErrKey, k.Curve.Params().Name)
	case ed25519.PublicKey:
		return Ed25519, nil
	}
	return "", fmt.Errorf("%w: %T", ErrKey, pub)
}

// AlgorithmOf names the algorithm of a key, or says that none of a profile is it.
func AlgorithmOf(pub crypto.PublicKey) string {
	alg, err := algorithmOf(pub)
	if err != nil {
		return fmt.Sprintf("%T", pub)
	}
	return string(alg)
}
