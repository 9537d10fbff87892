package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Hash is a SHA-256. Zero means absent where a message may lack it.
type Hash [sha256.Size]byte

// HashOf returns the SHA-256 of b: of a certificate's DER, of a Destination.
// The hash of a signed object is another one, see Signed.Hash.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is absent.
func (h Hash) IsZero() bool { return h == Hash{} }

// Thumbprint returns the x5t that h, the hash of a certificate, begins with.
func (h Hash) Thumbprint() Thumbprint { return Thumbprint(h[:16]) }

// A Thumbprint is the first 16 bytes of the SHA-256 of a certificate. It names an
// anchor in a device's truststore, and a device between providers.
type Thumbprint [16]byte

// ThumbprintOf returns the thumbprint of a certificate's encoding.
func ThumbprintOf(certificate []byte) Thumbprint { return HashOf(certificate).Thumbprint() }

// String returns the thumbprint in hexadecimal.
func (t Thumbprint) String() string { return hex.EncodeToString(t[:]) }

// Seconds is Unix time. Zero means absent.
type Seconds uint64

// SecondsOf returns t in seconds; the zero time and anything before 1970 is 0.
func SecondsOf(t time.Time) Seconds {
	if t.IsZero() || t.Unix() < 0 {
		return 0
	}
	return Seconds(t.Unix()) //nolint:gosec // checked above
}

// Time returns s as UTC, the zero time for absent.
func (s Seconds) Time() time.Time {
	if s == 0 || s > maxTime {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// A Window is the time in which a commit may happen.
type Window struct {
	_        struct{} `cbor:",toarray"`
	Earliest Seconds
	Latest   Seconds
}

// NewWindow returns the window from earliest to latest.
func NewWindow(earliest, latest time.Time) Window {
	return Window{Earliest: SecondsOf(earliest), Latest: SecondsOf(latest)}
}

// Within reports whether w lies inside outer.
func (w Window) Within(outer Window) bool {
	return w.Earliest >= outer.Earliest && w.Latest <= outer.Latest
}

// Contains reports whether now is inside w, give or take skew.
func (w Window) Contains(now time.Time, skew time.Duration) bool {
	return !now.Add(skew).Before(w.Earliest.Time()) && now.Add(-skew).Before(w.Latest.Time())
}

func (w Window) validate() error {
	if w.Latest > maxTime || w.Earliest >= w.Latest {
		return fmt.Errorf("transfer: window %d to %d: %w", w.Earliest, w.Latest, ErrValue)
	}
	return nil
}

// Purposes say for what an anchor is trusted; a set of bits.
type Purposes uint64

// The purposes, and the sets that rules speak of.
const (
	Enrol           Purposes = 1 << iota // enrolment servers
	DM                                   // the LwM2M server
	Bootstrap                            // the bootstrap server
	Update                               // the update server
	RA                                   // the attestation verifier
	SUITSigner                           // manifests
	TransferSigner                       // TransferMessage, Anchors
	MandateSigner                        // Mandate
	Fallback                             // the former provider, until FINALISED
	SignerPurposes  = SUITSigner | TransferSigner | MandateSigner
	knownPurposes   = Fallback<<1 - 1
	permanentAllows = Enrol | Fallback
)

var purposeNames = [...]string{
	"enrol", "dm", "bootstrap", "update", "ra", "suit-signer", "transfer-signer", "mandate-signer", "fallback",
}

// Has reports whether p includes all of q.
func (p Purposes) Has(q Purposes) bool { return p&q == q }

// String lists the purposes, as in "enrol dm".
func (p Purposes) String() string {
	var names []string
	for i, name := range purposeNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := p &^ knownPurposes; rest != 0 {
		names = append(names, fmt.Sprintf("%#x", uint64(rest)))
	}
	return strings.Join(names, " ")
}

// An AnchorRef names an anchor and what it is to be trusted for (label 8).
type AnchorRef struct {
	_          struct{} `cbor:",toarray"`
	Thumbprint Thumbprint
	Purposes   Purposes
}

// validateAnchors refuses an empty set, a thumbprint that stands in it twice,
// and purposes that do not exist, are empty or mean the former provider.
func validateAnchors(refs []AnchorRef) error {
	if len(refs) == 0 || len(refs) > MaxAnchors {
		return fmt.Errorf("transfer: %d anchors: %w", len(refs), ErrValue)
	}
	for i, r := range refs {
		same := func(o AnchorRef) bool { return o.Thumbprint == r.Thumbprint }
		if slices.ContainsFunc(refs[:i], same) || r.Purposes == 0 || r.Purposes&^knownPurposes != 0 ||
			r.Purposes.Has(Fallback) {
			return fmt.Errorf("transfer: anchor %v for %q: %w", r.Thumbprint, r.Purposes, ErrValue)
		}
	}
	return nil
}

// A CertHash is a hash with its algorithm (COSE_CertHash, RFC 9360 §2). Alg -16
// is SHA-256.
type CertHash struct {
	_     struct{} `cbor:",toarray"`
	Alg   int64
	Value []byte
}

// SHA256 is the algorithm identifier of a CertHash with a whole SHA-256.
const SHA256 int64 = -16

// NewCertHash returns h as a CertHash.
func NewCertHash(h Hash) CertHash { return CertHash{Alg: SHA256, Value: h[:]} }

// Equal reports whether both are the same hash by the same algorithm.
func (c CertHash) Equal(o CertHash) bool { return c.Alg == o.Alg && bytes.Equal(c.Value, o.Value) }

func (c CertHash) validate() error {
	if len(c.Value) == 0 || len(c.Value) > 64 { // SHA-512
		return fmt.Errorf("transfer: hash of %d bytes: %w", len(c.Value), ErrValue)
	}
	return nil
}

func validateText(what, s string) error {
	if s == "" || len(s) > maxText {
		return fmt.Errorf("transfer: %s of %d bytes: %w", what, len(s), ErrValue)
	}
	return nil
}

func validateID(what string, id []byte) error {
	if len(id) == 0 || len(id) > maxID {
		return fmt.Errorf("transfer: %s of %d bytes: %w", what, len(id), ErrValue)
	}
	return nil
}

func validateTime(what string, s Seconds) error {
	if s == 0 || s > maxTime {
		return fmt.Errorf("transfer: %s %d: %w", what, s, ErrValue)
	}
	return nil
}

// deviceURI is a URI of a device: visible ASCII, without user information, fragment, or
// percent-encoding in the host, so that small devices need no more than a comparison.
var deviceURI = regexp.MustCompile(`^(?i:coaps)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._~-]+))(?::([1-9][0-9]{0,4}))?` +
	`(?:[/?](?:[!$&'()*+,\-./0-9:;=?@A-Z_a-z~]|%[0-9A-Fa-f]{2})*)?$`)

// HostOf returns the host of a coaps URI, with its port where that is not the
// default one, so that two spellings of one server compare equal. It returns
// ErrValue for anything else: another scheme, no host, user information.
func HostOf(uri string) (string, error) {
	const host6, host, port = 1, 2, 3
	parts := deviceURI.FindStringSubmatch(uri)
	if len(uri) > MaxURI || parts == nil {
		return "", fmt.Errorf("transfer: not a coaps URI: %w", ErrValue)
	}
	name := strings.ToLower(parts[host6] + parts[host])
	if parts[port] == "" || parts[port] == "5684" {
		return name, nil
	}
	if n, err := strconv.ParseUint(parts[port], 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("transfer: port of a coaps URI: %w", ErrValue)
	}
	return name + ":" + parts[port], nil
}
