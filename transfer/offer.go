package transfer

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
)

// An Offer is the TransferOffer: what the incoming provider is ready to take, and
// where the devices are to go (§4, step 4).
type Offer struct {
	Issuer     string  `cbor:"1,keyasint"` // the incoming provider
	Audience   string  `cbor:"3,keyasint"` // the outgoing provider
	Expires    Seconds `cbor:"4,keyasint"`
	IssuedAt   Seconds `cbor:"6,keyasint"`
	ID         []byte  `cbor:"7,keyasint"`
	OfferTerms `cbor:"-65537,keyasint"`
}

// OfferTerms are what is offered, and to which request.
type OfferTerms struct {
	Destination []byte             `cbor:"0,keyasint"` // encoded
	Mandate     Hash               `cbor:"12,keyasint"`
	Transfer    []byte             `cbor:"46,keyasint"` // id of the transfer
	Info        Hash               `cbor:"14,keyasint"` // the DeviceUpdateInfo answered
	Accepted    Hash               `cbor:"15,keyasint"` // AcceptedHash of the devices
	Window      Window             `cbor:"16,keyasint"`
	Anchors     []OfferCertificate `cbor:"17,keyasint"`
}

// An OfferCertificate is an anchor of the new domain with its certificate.
type OfferCertificate struct {
	_           struct{} `cbor:",toarray"`
	Certificate []byte   // DER
	Purposes    Purposes
}

// AcceptedHash names a set of devices: the SHA-256 of the sorted hashes of their
// factory certificates, one after the other.
func AcceptedHash(factory []Hash) Hash {
	sorted := slices.Clone(factory)
	slices.SortFunc(sorted, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	digest := sha256.New()
	for _, h := range sorted {
		digest.Write(h[:])
	}
	return Hash(digest.Sum(nil))
}

var offerKind = kind[Offer]{aad: "steward/offer/1", limit: MaxSmall, tagged: true, validate: (*Offer).validate}

func (o *Offer) validate() error {
	destination, err := ParseDestination(o.Destination)
	if err != nil {
		return err
	}
	if err := o.matchAnchors(destination.Anchors); err != nil {
		return err
	}
	if o.Mandate.IsZero() || o.Info.IsZero() || o.Accepted.IsZero() {
		return fmt.Errorf("transfer: empty hash: %w", ErrValue)
	}
	return firstError(
		validateText("issuer", o.Issuer),
		validateText("audience", o.Audience),
		validateID("offer's id", o.ID),
		validateID("transfer's id", o.Transfer),
		validateTime("issue time", o.IssuedAt),
		validateTime("expiry", o.Expires),
		o.Window.validate(),
	)
}

// matchAnchors demands a certificate for each anchor of the Destination, with
// the same purposes, and no other.
func (o *Offer) matchAnchors(refs []AnchorRef) error {
	if len(o.Anchors) != len(refs) {
		return fmt.Errorf("transfer: %d certificates for %d anchors: %w", len(o.Anchors), len(refs), ErrValue)
	}
	for i, c := range o.Anchors {
		same := func(other OfferCertificate) bool { return bytes.Equal(other.Certificate, c.Certificate) }
		if slices.ContainsFunc(o.Anchors[:i], same) {
			return fmt.Errorf("transfer: certificate %d stands twice: %w", i, ErrValue)
		}
		if len(c.Certificate) == 0 || len(c.Certificate) > MaxCertificate {
			return fmt.Errorf("transfer: anchor of %d bytes: %w", len(c.Certificate), ErrValue)
		}
		ref := AnchorRef{Thumbprint: ThumbprintOf(c.Certificate), Purposes: c.Purposes}
		if !slices.Contains(refs, ref) {
			return fmt.Errorf("transfer: certificate %v is not in label 8: %w", ref.Thumbprint, ErrValue)
		}
	}
	return nil
}

// Sign returns the offer signed by the incoming provider.
func (o Offer) Sign(by Signer) ([]byte, error) { return offerKind.sign(o, by) }

// ParseOffer reads an offer whose signature is not checked.
func ParseOffer(raw []byte) (*Signed[Offer], error) {
	signed, _, err := offerKind.parse(raw)
	return signed, err
}

// VerifyOfferSignature reads an offer and checks that by has signed it.
// VerifyOffer checks what it says.
func VerifyOfferSignature(raw []byte, by *x509.Certificate) (*Signed[Offer], error) {
	return offerKind.verify(raw, by)
}
