package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"steward/transfer"
)

// makeOffer signs the offer for what was accepted.
func (c *Coordinator) makeOffer(ctx context.Context, t *Transfer, ch *Change, now time.Time) error {
	docs, info, accepted, err := c.agreed(ctx, t.ID)
	if err != nil {
		return err
	}
	window := t.Window
	if mandate, err := transfer.ParseMandate(docs.Mandate); err == nil { // that of the mandate may be narrower
		window.Earliest = max(window.Earliest, mandate.Body.Window.Earliest)
		window.Latest = min(window.Latest, mandate.Body.Window.Latest)
	}
	destination, err := c.destination(t.Gates).Encode()
	if err != nil {
		return err
	}
	expires := min(window.Latest, transfer.SecondsOf(now.Add(c.o.OfferLife)))
	id := make([]byte, idLength)
	_, _ = rand.Read(id) // never fails
	o := transfer.Offer{
		Issuer: c.o.Name, Audience: t.PartnerName, Expires: expires, IssuedAt: transfer.SecondsOf(now), ID: id,
		OfferTerms: transfer.OfferTerms{
			Destination: destination, Mandate: t.Mandate, Transfer: t.Key(), Info: info.Hash,
			Accepted: transfer.AcceptedHash(accepted), Window: window, Anchors: c.o.Domain.Anchors,
		},
	}
	if ch.Documents.Offer, err = o.Sign(c.o.Signer); err != nil {
		return err
	}
	signed, err := transfer.ParseOffer(ch.Documents.Offer)
	if err != nil {
		return err
	}
	t.Offer, t.OfferUntil, t.Window, t.Grace = signed.Hash, expires.Time(), window, c.o.Domain.Grace
	return nil
}

// agreed returns the documents of a transfer, the information that was sent, and
// the factory certificates of the devices that were accepted.
func (c *Coordinator) agreed(ctx context.Context, id string) (
	docs Documents, info *transfer.Signed[transfer.Info], accepted []transfer.Hash, err error,
) {
	if docs, err = c.o.Store.Documents(ctx, id); err != nil {
		return docs, nil, nil, err
	}
	if info, err = transfer.ParseInfo(docs.Info); err != nil {
		return docs, nil, nil, err
	}
	answer, err := transfer.ParseAnswer(docs.Answer)
	if err != nil {
		return docs, nil, nil, err
	}
	accepted, err = answer.Accepted(info)
	return docs, info, accepted, err
}

// destination is where devices go that come to us.
func (c *Coordinator) destination(g Gates) transfer.Destination {
	d := c.o.Domain
	reset, grace := transfer.ResetData, uint64(max(d.Grace, 0)/time.Second)
	out := transfer.Destination{
		UpdateURI: d.UpdateURI, EnrollURI: d.EnrollURI, ServerURI: d.ServerURI, BootstrapURI: d.BootstrapURI,
		Reset: &reset, Grace: &grace, Account: d.Account, UpdateFirst: g.UpdateFirst,
	}
	if g.Attest {
		out.RAURI = d.RAURI
	}
	for _, a := range d.Anchors {
		out.Anchors = append(out.Anchors, transfer.AnchorRef{
			Thumbprint: transfer.ThumbprintOf(a.Certificate), Purposes: a.Purposes,
		})
	}
	return out
}

// postOffer sends the offer, after every accepted device has its right. If the
// partner finds that it does not fit, somebody must approve another.
func (c *Coordinator) postOffer(ctx context.Context, t *Transfer) error {
	partner, err := c.o.Store.Partner(ctx, t.Partner)
	if err != nil {
		return err
	}
	if !partner.Admitted() {
		return refusedf(ErrForbidden, "partner %s is %s", partner.Name, partner.State)
	}
	docs, err := c.o.Store.Documents(ctx, t.ID)
	if err != nil {
		return err
	}
	call := Call{Action: ActionOffer, Transfer: t.ID, Body: docs.Offer}
	call.Key = keyOf(call)
	_, err = c.o.Peers.Post(ctx, partner, call)
	if errors.Is(err, ErrDeclined) {
		t.Reason = err.Error()
		t.void()
		return t.apply(transfer.BatchOfferOver, time.Now())
	}
	return err
}

// receiveOffer is step 5: everything that the offer says against mandate and info.
func (c *Coordinator) receiveOffer(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	t, err := c.transferWith(ctx, from, call.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	if !t.Incoming && t.State == transfer.BatchInfoSent { // the answer to the info was lost
		return Reply{}, none, ErrNotYet
	}
	if t.Incoming || t.State != transfer.BatchInfoAccepted {
		return Reply{}, none, refusedf(ErrState, "transfer is %s", t.State)
	}
	signer, err := from.signer()
	if err != nil {
		return Reply{}, none, err
	}
	offer, err := transfer.VerifyOfferSignature(call.Body, signer)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := c.fits(ctx, t, offer); err != nil {
		return Reply{}, none, err
	}
	destination, err := transfer.ParseDestination(offer.Body.Destination)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	before := t
	t.Offer, t.Window, t.Grace, t.Reason = offer.Hash, offer.Body.Window, destination.GracePeriod(), ""
	t.OfferUntil = offer.Body.Expires.Time()
	t.Gates = Gates{Attest: destination.RAURI != "", UpdateFirst: destination.UpdateFirst}
	if t.Verifier != "" && !t.Attest {
		return Reply{}, none, refusedf(ErrInvalid, "the offer leaves the attestation out")
	}
	if err := t.apply(transfer.BatchOffer, time.Now()); err != nil {
		return Reply{}, none, err
	}
	return Reply{}, Change{
		Transfer: &t, Documents: Documents{Offer: call.Body}, Audit: auditedTransfer(before, t, "peer:"+from.Name),
	}, nil
}

func (c *Coordinator) fits(ctx context.Context, t Transfer, offer *transfer.Signed[transfer.Offer]) error {
	docs, info, accepted, err := c.agreed(ctx, t.ID)
	if err != nil {
		return err
	}
	mandate, err := transfer.ParseMandate(docs.Mandate)
	if err != nil {
		return err
	}
	err = transfer.VerifyOffer(offer, transfer.OfferContext{
		Self: c.o.Name, Mandate: mandate, Info: info, Accepted: accepted, Now: time.Now(),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if offer.Body.Issuer != t.PartnerName {
		return refusedf(ErrInvalid, "offer of %.80q", offer.Body.Issuer)
	}
	return nil
}
