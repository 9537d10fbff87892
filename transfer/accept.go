package transfer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The acceptance check (§5). Each failure leaves the device as it was. The
// numbers are those of resource Error: ErrorCode.
var (
	ErrE1Message   = errors.New("E1: malformed, too long, or of another version")
	ErrE2Signer    = errors.New("E2: not signed by a transfer signer")
	ErrE3Signature = errors.New("E3: signature does not verify")
	ErrE4Target    = errors.New("E4: for another device")
	ErrE5Epoch     = errors.New("E5: epoch is not the next one")
	ErrE6Window    = errors.New("E6: outside the window")
	ErrE7Anchors   = errors.New("E7: pending anchors are not those of the message")
	ErrE8URI       = errors.New("E8: a URI is not coaps")
	ErrE9Fallback  = errors.New("E9: the way back is not the present server's")
	ErrE10State    = errors.New("E10: wrong state, or an installation is running")
	ErrE11Mandate  = errors.New("E11: no valid mandate")
)

var acceptErrors = []error{
	ErrE1Message, ErrE2Signer, ErrE3Signature, ErrE4Target, ErrE5Epoch, ErrE6Window,
	ErrE7Anchors, ErrE8URI, ErrE9Fallback, ErrE10State, ErrE11Mandate,
}

// ErrorCode returns the number of the check that err reports, 1 to 11; 0 if none.
func ErrorCode(err error) int64 {
	for i, e := range acceptErrors {
		if errors.Is(err, e) {
			return int64(i + 1)
		}
	}
	return 0
}

// MaxDeviceMandate is the length in bytes of the longest mandate that a device
// stores: one for about a hundred listed devices.
const MaxDeviceMandate = 4096

// Facts are what the acceptance check knows of the device.
type Facts struct {
	State      DeviceState
	Epoch      uint32 // of the last message accepted
	Stored     []byte // the message as written, in READY; nil otherwise
	Subject    string // endpoint name: commonName of the factory certificate
	Factory    Hash   // of the factory certificate
	Truststore []Anchor
	ServerURI  string // present LwM2M server
	EnrollURI  string // present enrolment server
	Installing bool   // a firmware update is on the way, or not confirmed yet
	Mandate    []byte // resource Mandate; nil: none written
}

// Accepted is a message that passed.
type Accepted struct {
	Message     Message
	Destination Destination
	Hash        Hash // of the message
	// Truststore is the truststore with the new domain's anchors pending.
	Truststore []Anchor
	// Repeated is set for the message that is stored already: nothing changes.
	Repeated bool
}

// Accept performs the acceptance check E1 to E11 on a message as written. now is
// zero on a device without a clock, which ignores expiry. The error is exactly
// one of ErrE1Message to ErrE11Mandate, wrapped with what was found.
func Accept(f Facts, raw []byte, now time.Time) (*Accepted, error) {
	if f.State == Ready && len(f.Stored) > 0 && bytes.Equal(raw, f.Stored) {
		return repeated(f, raw)
	}
	signed, err := f.checkSigned(raw)
	if err != nil {
		return nil, err
	}
	a := &Accepted{Message: signed.Body, Hash: signed.Hash}
	if a.Destination, err = ParseDestination(signed.Body.Destination); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrE1Message, err)
	}
	if err := f.checkTarget(&a.Message); err != nil {
		return nil, err
	}
	if err := f.checkTimes(&a.Message, now); err != nil {
		return nil, err
	}
	if a.Truststore, err = f.checkAnchors(a.Destination.Anchors); err != nil {
		return nil, err
	}
	if err := f.checkURIs(a); err != nil {
		return nil, err
	}
	if !f.State.AtRest() || f.Installing {
		return nil, fmt.Errorf("transfer: state %s, installing %t: %w", f.State, f.Installing, ErrE10State)
	}
	return a, f.checkMandate(a)
}

// repeated answers for the very message that is stored: it has passed once.
func repeated(f Facts, raw []byte) (*Accepted, error) {
	signed, err := ParseMessage(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrE1Message, err)
	}
	destination, err := ParseDestination(signed.Body.Destination)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrE1Message, err)
	}
	return &Accepted{
		Message: signed.Body, Destination: destination, Hash: signed.Hash, Truststore: f.Truststore, Repeated: true,
	}, nil
}

// checkSigned performs E1, E2 and E3. LwM2M resources carry messages untagged.
func (f *Facts) checkSigned(raw []byte) (*Signed[Message], error) {
	if bytes.HasPrefix(raw, tagSign1) {
		return nil, fmt.Errorf("transfer: tagged: %w", ErrE1Message)
	}
	unproven, err := ParseMessage(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrE1Message, err)
	}
	signers, err := f.signers(TransferSigner, unproven.Signer)
	if err != nil || len(signers) == 0 {
		return nil, fmt.Errorf("transfer: signer %x: %w", unproven.Signer, ErrE2Signer)
	}
	for _, signer := range signers { // two, if the first eight bytes collide
		if signed, err := VerifyMessage(raw, signer); err == nil {
			return signed, nil
		}
	}
	return nil, fmt.Errorf("transfer: %w", ErrE3Signature)
}

// signers returns the certificates with purpose, in domain current or permanent,
// that a key identifier may mean.
func (f *Facts) signers(purpose Purposes, kid KeyID) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for _, a := range f.Truststore {
		if a.Domain == Pending || a.Staged || !a.Purposes.Has(purpose) || KeyIDOf(a.Certificate) != kid {
			continue
		}
		certificate, err := a.X509()
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
	return found, nil
}

// checkTarget performs E4 and E5.
func (f *Facts) checkTarget(m *Message) error {
	if m.Factory != f.Factory || m.Subject != f.Subject {
		return fmt.Errorf("transfer: for %q: %w", m.Subject, ErrE4Target)
	}
	if m.Epoch != uint64(f.Epoch)+1 {
		return fmt.Errorf("transfer: epoch %d, stored %d: %w", m.Epoch, f.Epoch, ErrE5Epoch)
	}
	return nil
}

// checkTimes performs E6. The beginning of the window is tested at commit.
func (f *Facts) checkTimes(m *Message, now time.Time) error {
	if m.NotBefore >= m.Expires {
		return fmt.Errorf("transfer: from %d to %d: %w", m.NotBefore, m.Expires, ErrE6Window)
	}
	if !now.IsZero() && !now.Add(-ClockSkew).Before(m.Expires.Time()) {
		return fmt.Errorf("transfer: expired %d: %w", m.Expires, ErrE6Window)
	}
	return nil
}

// checkAnchors performs E7: the staged anchors are those listed, no more and no
// fewer, with the same purposes, signer bits apart, which no session can set. An
// anchor that stands in the truststore for good already (a shared root) need not
// be staged if it is trusted for as much. It returns the truststore with the
// new domain pending.
func (f *Facts) checkAnchors(refs []AnchorRef) ([]Anchor, error) {
	truststore := slices.Clone(f.Truststore)
	for i := range truststore {
		a := &truststore[i]
		if !a.Staged {
			continue
		}
		want := AnchorRef{Thumbprint: a.Thumbprint(), Purposes: a.Purposes}
		same := func(r AnchorRef) bool { r.Purposes &^= SignerPurposes; return r == want }
		if !slices.ContainsFunc(refs, same) {
			return nil, fmt.Errorf("transfer: anchor %v for %q is not in label 8: %w",
				want.Thumbprint, want.Purposes, ErrE7Anchors)
		}
		a.Domain, a.Staged = Pending, false
	}
	for _, r := range refs {
		isPending := func(a Anchor) bool { return a.Domain == Pending && a.Thumbprint() == r.Thumbprint }
		if slices.ContainsFunc(truststore, isPending) {
			continue
		}
		i := slices.IndexFunc(f.Truststore, func(a Anchor) bool {
			return a.Thumbprint() == r.Thumbprint && a.Purposes.Has(r.Purposes&^SignerPurposes)
		})
		id, err := freeInstance(truststore, -1)
		if i < 0 || err != nil {
			return nil, fmt.Errorf("transfer: anchor %v for %q is missing: %w", r.Thumbprint, r.Purposes, ErrE7Anchors)
		}
		truststore = append(truststore, Anchor{
			Instance: id, Certificate: f.Truststore[i].Certificate, Domain: Pending, Purposes: r.Purposes &^ SignerPurposes,
		})
	}
	return truststore, nil
}

// checkURIs performs E8 and E9.
func (f *Facts) checkURIs(a *Accepted) error {
	for _, uri := range append(a.Destination.URIs(), a.Message.FallbackURI, a.Message.FallbackEnrollURI) {
		if _, err := HostOf(uri); err != nil {
			return fmt.Errorf("%w: %w", ErrE8URI, err)
		}
	}
	ways := []struct {
		what, uri, present string
		purpose            Purposes
	}{
		{"server", a.Message.FallbackURI, f.ServerURI, DM},
		{"enrolment", a.Message.FallbackEnrollURI, f.EnrollURI, Enrol},
	}
	for _, w := range ways {
		there, err := HostOf(w.uri)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrE9Fallback, err)
		}
		here, err := HostOf(w.present)
		if err != nil || here != there {
			return fmt.Errorf("transfer: %s %q, present %q: %w", w.what, there, here, ErrE9Fallback)
		}
		stands := func(t Anchor) bool { return t.Domain == Current && !t.Staged && t.Purposes.Has(w.purpose) }
		if !slices.ContainsFunc(f.Truststore, stands) {
			return fmt.Errorf("transfer: no anchor for the present %s: %w", w.what, ErrE9Fallback)
		}
	}
	return nil
}

// owned returns f with the anchors of one domain alone.
func (f *Facts) owned(by Domain) Facts {
	out := *f
	out.Truststore = nil
	for _, a := range f.Truststore {
		if a.Domain == by {
			out.Truststore = append(out.Truststore, a)
		}
	}
	return out
}

// checkMandate performs E11. Where the factory has set a mandate signer, it alone counts:
// a provider whose transfer signer sets another one (§1, rule 4) would be its own owner.
func (f *Facts) checkMandate(a *Accepted) error {
	held := func(t Anchor) bool { return !t.Staged && t.Domain != Pending && t.Purposes.Has(MandateSigner) }
	if !slices.ContainsFunc(f.Truststore, held) {
		return nil
	}
	if len(f.Mandate) > MaxDeviceMandate {
		return fmt.Errorf("transfer: %d bytes: %w", len(f.Mandate), ErrE11Mandate)
	}
	unproven, err := ParseMandate(f.Mandate)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrE11Mandate, err)
	}
	owners := *f
	if factory := f.owned(Permanent); slices.ContainsFunc(factory.Truststore, held) {
		owners = factory // no signer that a provider has set stands for the owner
	}
	signers, err := owners.signers(MandateSigner, unproven.Signer)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrE11Mandate, err)
	}
	for _, signer := range signers {
		signed, err := VerifyMandate(f.Mandate, signer)
		if err != nil || signed.Hash != a.Message.Mandate {
			continue
		}
		m := &signed.Body
		keeps := a.Destination.ResetProfile() == ResetKeepApplication
		if m.Names(f.Factory, f.Subject) && (!keeps || m.MayKeepApplication()) &&
			m.Orders(a.Message.Issuer, a.Message.Audience, a.Message.Window()) {
			return nil
		}
	}
	return fmt.Errorf("transfer: %w", ErrE11Mandate)
}

// ClockSkew is how far two clocks may differ (§7, defaults).
const ClockSkew = 120 * time.Second
