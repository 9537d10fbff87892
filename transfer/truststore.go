package transfer

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// The reasons for which a device refuses to change its truststore.
var (
	// ErrDuplicate reports a certificate that the truststore holds already.
	ErrDuplicate = errors.New("certificate is in the truststore already")
	// ErrSignerBits reports an attempt to set signer bits, or bits that do not
	// exist, from a session: those come from the factory, from label 8 at
	// Finalise, or from an Anchors command (§1, rule 4).
	ErrSignerBits = errors.New("purposes cannot be set this way")
	// ErrFull reports a truststore without room.
	ErrFull = errors.New("truststore is full")
	// ErrNoAnchor reports an instance that does not exist, or one of the
	// permanent domain, which nobody may change.
	ErrNoAnchor = errors.New("no such anchor, or a permanent one")
)

// A Domain says whose an anchor is.
type Domain uint8

// The domains, with the numbers of resource Domain.
const (
	Permanent Domain = 0 // the permanent CA's, put there in the factory
	Current   Domain = 1 // the present provider's
	Pending   Domain = 2 // the incoming provider's, from the message to Finalise
)

// String returns the domain's name.
func (d Domain) String() string {
	switch d {
	case Permanent:
		return "permanent"
	case Current:
		return "current"
	case Pending:
		return "pending"
	}
	return fmt.Sprintf("Domain(%d)", uint8(d))
}

// MaxInstances is the number of anchors in the largest truststore: those of the
// factory and of two providers.
const MaxInstances = 3 * MaxAnchors

// An Anchor is an entry of the device's truststore: an instance of Truststore.
type Anchor struct {
	Instance    uint16   `cbor:"1,keyasint"`
	Certificate []byte   `cbor:"2,keyasint"` // DER
	Purposes    Purposes `cbor:"3,keyasint"`
	Domain      Domain   `cbor:"4,keyasint"`
	// Staged marks what a session created while the device was at rest. It is of
	// the current domain by name and has no effect: it becomes pending when a
	// message lists it, or is confirmed by an Anchors command.
	Staged bool `cbor:"5,keyasint"`
}

// Thumbprint returns the anchor's name.
func (a *Anchor) Thumbprint() Thumbprint { return ThumbprintOf(a.Certificate) }

// X509 returns the certificate, parsed.
func (a *Anchor) X509() (*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, fmt.Errorf("transfer: anchor %v: %w", a.Thumbprint(), err)
	}
	return certificate, nil
}

// Trusted returns the anchors that count for purpose in state: the permanent and
// the current ones at rest and in READY, the pending ones from COMMITTED to DONE,
// and in FALLBACK those with purpose Fallback alone. Staged ones never count. So a
// certificate under a root that both providers share opens nothing before the
// message lists that root, and a former server nothing after the commit. Where
// the present provider has an anchor for purpose, the permanent ones give way to
// it: another provider's CA under the permanent root is not the present one's.
func Trusted(truststore []Anchor, state DeviceState, purpose Purposes) []Anchor {
	var trusted, pinned []Anchor
	for _, a := range truststore {
		if a.Staged || !a.Purposes.Has(purpose) || !a.Domain.counts(state, purpose) {
			continue
		}
		trusted = append(trusted, a)
		if a.Domain == Current {
			pinned = append(pinned, a)
		}
	}
	if len(pinned) > 0 {
		return pinned
	}
	return trusted
}

func (d Domain) counts(state DeviceState, purpose Purposes) bool {
	switch {
	case state.AtRest() || state == Ready:
		return d != Pending
	case state == InFall:
		return d != Pending && purpose == Fallback
	}
	return d == Pending
}

// TruststoreDigest is label 27: the SHA-256 of the anchors [thumbprint, purposes,
// domain], sorted by thumbprint, then domain. It covers what a provider can know:
// the permanent anchors and, beside them, the pending ones if there are any and
// the current ones otherwise. So the incoming provider can compute from its own
// offer what the READY receipt must say, and the outgoing one from the same
// offer what the FINALISED receipt must say.
func TruststoreDigest(truststore []Anchor) Hash {
	type triple struct {
		_          struct{} `cbor:",toarray"`
		Thumbprint Thumbprint
		Purposes   Purposes
		Domain     Domain
	}
	domain := Current
	if slices.ContainsFunc(truststore, func(a Anchor) bool { return a.Domain == Pending }) {
		domain = Pending
	}
	triples := []triple{}
	for _, a := range truststore {
		if a.Domain == Permanent || a.Domain == domain && !a.Staged {
			triples = append(triples, triple{Thumbprint: a.Thumbprint(), Purposes: a.Purposes, Domain: a.Domain})
		}
	}
	slices.SortFunc(triples, func(a, b triple) int {
		return cmp.Or(bytes.Compare(a.Thumbprint[:], b.Thumbprint[:]), cmp.Compare(a.Domain, b.Domain))
	})
	raw, err := strict.Marshal(triples)
	if err != nil {
		return Hash{} // numbers and byte strings always encode
	}
	return HashOf(raw)
}

// createAnchor stages a certificate that a session of the current domain wrote.
// The instance -1 means the device chooses.
func createAnchor(truststore []Anchor, instance int, certificate []byte, purposes Purposes) ([]Anchor, uint16, error) {
	if len(truststore) >= MaxInstances {
		return nil, 0, fmt.Errorf("transfer: %w", ErrFull)
	}
	if err := checkSessionPurposes(purposes, 0); err != nil {
		return nil, 0, err
	}
	if len(certificate) > MaxCertificate {
		return nil, 0, fmt.Errorf("transfer: anchor of %d bytes: %w", len(certificate), ErrTooLarge)
	}
	if _, err := x509.ParseCertificate(certificate); err != nil {
		return nil, 0, fmt.Errorf("transfer: anchor: %w: %w", ErrSyntax, err)
	}
	if slices.ContainsFunc(truststore, func(a Anchor) bool { return bytes.Equal(a.Certificate, certificate) }) {
		return nil, 0, fmt.Errorf("transfer: anchor %v: %w", ThumbprintOf(certificate), ErrDuplicate)
	}
	id, err := freeInstance(truststore, instance)
	if err != nil {
		return nil, 0, err
	}
	return append(slices.Clone(truststore), Anchor{
		Instance: id, Certificate: bytes.Clone(certificate), Purposes: purposes, Domain: Current, Staged: true,
	}), id, nil
}

func freeInstance(truststore []Anchor, wanted int) (uint16, error) {
	taken := func(id int) bool {
		return slices.ContainsFunc(truststore, func(a Anchor) bool { return int(a.Instance) == id })
	}
	if wanted < 0 {
		for wanted = 0; taken(wanted); wanted++ {
		}
	}
	if wanted >= 1<<16-1 || taken(wanted) { // 65535 is not an instance id
		return 0, fmt.Errorf("transfer: instance %d: %w", wanted, ErrDuplicate)
	}
	return uint16(wanted), nil
}

// checkSessionPurposes refuses bits that a session may not set. What was set
// before, it may leave or clear.
func checkSessionPurposes(purposes, before Purposes) error {
	if purposes&^(knownPurposes&^SignerPurposes&^Fallback|before) != 0 {
		return fmt.Errorf("transfer: purposes %q: %w", purposes, ErrSignerBits)
	}
	return nil
}

// writePurposes changes the purposes of an instance that is not permanent.
func writePurposes(truststore []Anchor, instance uint16, purposes Purposes) ([]Anchor, error) {
	i := slices.IndexFunc(truststore, func(a Anchor) bool { return a.Instance == instance })
	if i < 0 || truststore[i].Domain == Permanent {
		return nil, fmt.Errorf("transfer: instance %d: %w", instance, ErrNoAnchor)
	}
	if err := checkSessionPurposes(purposes, truststore[i].Purposes&SignerPurposes); err != nil {
		return nil, err
	}
	changed := slices.Clone(truststore)
	changed[i].Purposes = purposes
	return changed, nil
}

// deleteAnchor removes an instance that is not permanent.
func deleteAnchor(truststore []Anchor, instance uint16) ([]Anchor, error) {
	i := slices.IndexFunc(truststore, func(a Anchor) bool { return a.Instance == instance })
	if i < 0 || truststore[i].Domain == Permanent {
		return nil, fmt.Errorf("transfer: instance %d: %w", instance, ErrNoAnchor)
	}
	return slices.Delete(slices.Clone(truststore), i, i+1), nil
}

// applyAnchors performs an Anchors command: the listed anchors are of the
// current domain from now on, with exactly the purposes listed.
func applyAnchors(truststore []Anchor, refs []AnchorRef) ([]Anchor, error) {
	changed := slices.Clone(truststore)
	for _, ref := range refs {
		i := slices.IndexFunc(changed, func(a Anchor) bool {
			return a.Domain == Current && a.Thumbprint() == ref.Thumbprint
		})
		if i < 0 {
			return nil, fmt.Errorf("transfer: anchor %v: %w", ref.Thumbprint, ErrNoAnchor)
		}
		changed[i].Purposes, changed[i].Staged = ref.Purposes, false
	}
	return changed, nil
}
