package transfer

import "fmt"

// An OfferApproval tells the incoming provider that its offer was approved: what was
// agreed holds from then on.
type OfferApproval struct {
	Offer    Hash   `cbor:"7,keyasint"`
	Transfer []byte `cbor:"46,keyasint"`
}

// Encode returns a as CBOR.
func (a OfferApproval) Encode() ([]byte, error) { return encodeBody(a, a.validate()) }

// ParseOfferApproval reads an OfferApproval.
func ParseOfferApproval(raw []byte) (OfferApproval, error) {
	return parseBody(raw, MaxSmall, (*OfferApproval).validate)
}

func (a *OfferApproval) validate() error {
	if a.Offer.IsZero() {
		return fmt.Errorf("transfer: approval of no offer: %w", ErrValue)
	}
	return validateID("transfer's id", a.Transfer)
}
