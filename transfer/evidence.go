package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrEvidence reports receipts that do not prove what they are to prove.
var ErrEvidence = errors.New("receipts do not prove it")

// A claim is one comparison and its name in the error.
type claim struct {
	ok   bool
	what string
}

// firstFalse returns an error of kind with the name of the first false claim.
func firstFalse(kind error, claims []claim) error {
	for _, c := range claims {
		if !c.ok {
			return fmt.Errorf("transfer: %s: %w", c.what, kind)
		}
	}
	return nil
}

// ExpectedTruststore returns label 27 for a device on its way to a Destination:
// before Finalise, in READY, or after it. permanent are the anchors of the
// permanent domain that the factory has put into the device.
func ExpectedTruststore(permanent []Anchor, d *Destination, certificates []OfferCertificate, state DeviceState) Hash {
	var truststore []Anchor
	for _, a := range permanent {
		a.Domain = Permanent
		truststore = append(truststore, a)
	}
	for _, c := range certificates {
		a := Anchor{Certificate: c.Certificate, Purposes: c.Purposes &^ SignerPurposes, Domain: Pending}
		if state == Finalised {
			a.Purposes, a.Domain = c.Purposes, Current
		}
		listed := func(r AnchorRef) bool { return r.Thumbprint == ThumbprintOf(c.Certificate) }
		if slices.ContainsFunc(d.Anchors, listed) {
			truststore = append(truststore, a)
		}
	}
	return TruststoreDigest(truststore)
}

// Trusts reports whether label 27 of a receipt is that of ExpectedTruststore. An anchor
// that is for nothing but mandates is the service user's, whose order is obeyed: the
// factory may have put it into the device or not.
func Trusts(told Hash, permanent []Anchor, d *Destination, certificates []OfferCertificate, state DeviceState) bool {
	if told == ExpectedTruststore(permanent, d, certificates, state) {
		return true
	}
	without := slices.DeleteFunc(slices.Clone(permanent), func(a Anchor) bool { return a.Purposes == MandateSigner })
	return told == ExpectedTruststore(without, d, certificates, state)
}

// ReadyContext is what the incoming provider holds a READY receipt against.
type ReadyContext struct {
	Offer     *Signed[Offer]
	Device    DevicePair // from the info
	Subject   string     // commonName of the factory certificate
	Permanent []Anchor   // of the factory, as Trusts takes them
	Window    Window     // as agreed since; zero: as offered
	Now       time.Time
}

// CompareReady performs step 7b on a verified receipt: what reached the device is
// what was offered, byte for byte, and nothing else is in its truststore. It
// returns ErrReady with what differs. Only after it may the right open.
func CompareReady(receipt *Signed[Receipt], c ReadyContext) error {
	r, o := &receipt.Body, &c.Offer.Body
	factory, err := c.Device.Factory.Hash()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReady, err)
	}
	destination, err := ParseDestination(o.Destination)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReady, err)
	}
	claims := []claim{
		{r.State == Ready, "state"},
		{r.Factory == factory, "factory certificate"},
		{r.Subject == c.Subject, "subject"},
		{bytes.Equal(r.ID, o.Transfer), "transfer"},
		{r.Destination == HashOf(o.Destination), "destination"},
		{Trusts(r.Truststore, c.Permanent, &destination, o.Anchors, Ready), "truststore"},
		{c.Now.Add(-ClockSkew).Before(max(o.Window.Latest, c.Window.Latest).Time()), "window"},
		{SameManifests(r.Installed, c.Device.Switch.Manifests), "manifests"},
		{r.Previous.IsZero(), "chain"},
	}
	return firstFalse(ErrReady, claims)
}

// SameManifests reports whether a device has installed what was told of it. It compares
// as sets: both sides list each component once.
func SameManifests(installed []Installed, told []ManifestRef) bool {
	if len(installed) != len(told) {
		return false
	}
	for _, i := range installed {
		same := func(m ManifestRef) bool { return m.Digest.Equal(i.Digest) && m.Sequence == i.Sequence }
		if !slices.ContainsFunc(told, same) {
			return false
		}
	}
	return true
}

// CompareDone checks a verified DONE receipt against the READY receipt of the
// same transfer: the chain, the key, which must be the one of READY, and that the
// former operational certificate is gone. It returns ErrChain or ErrEvidence.
func CompareDone(ready, done *Signed[Receipt]) error {
	if err := done.Body.Follows(ready); err != nil {
		return err
	}
	r, d := &ready.Body, &done.Body
	return firstFalse(ErrEvidence, []claim{
		{r.State == Ready && d.State == Done, "state"},
		{d.SPKI == r.SPKI, "key"},
		{!d.Operational.IsZero() && d.Operational != r.Operational, "operational certificate"},
		{d.Wiped != nil && d.wiped(), "wipe"},
	})
}

// wiped reports whether all classes were wiped.
func (r *Receipt) wiped() bool {
	for _, class := range WipeClasses {
		if !slices.Contains(r.Wiped.Classes, class) {
			return false
		}
	}
	return true
}

// CompareFinalised checks that a verified FINALISED receipt follows DONE and that
// the device trusts the permanent anchors and the offered ones, and nobody else.
// On this the outgoing provider lets the device go. It returns ErrChain or
// ErrEvidence.
func CompareFinalised(done, final *Signed[Receipt], offer *Offer, permanent []Anchor) error {
	if err := final.Body.Follows(done); err != nil {
		return err
	}
	destination, err := ParseDestination(offer.Destination)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	d, f := &done.Body, &final.Body
	return firstFalse(ErrEvidence, []claim{
		{d.State == Done && f.State == Finalised, "state"},
		{f.Destination == HashOf(offer.Destination), "destination"},
		{f.SPKI == d.SPKI && f.Operational == d.Operational, "operational certificate"},
		{Trusts(f.Truststore, permanent, &destination, offer.Anchors, Finalised), "truststore"},
	})
}

// CompareFellBack checks a verified FELL_BACK receipt against the READY receipt:
// same device, message and epoch, and a key that is neither that of READY nor the
// former one. On this the outgoing provider takes the device back. It returns
// ErrEvidence.
func CompareFellBack(ready, back *Signed[Receipt]) error {
	r, b := &ready.Body, &back.Body
	return firstFalse(ErrEvidence, []claim{
		{r.State == Ready && b.State == FellBack, "state"},
		{r.Factory == b.Factory && r.Subject == b.Subject, "device"},
		{r.Message == b.Message && r.Epoch == b.Epoch, "message"},
		{b.SPKI != r.SPKI, "key"},
		{!b.Operational.IsZero() && b.Operational != r.Operational, "operational certificate"},
		{!b.Previous.IsZero(), "chain"},
	})
}
