package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// receiveInfo is step 2: it judges the info, device by device, and answers.
func (c *Coordinator) receiveInfo(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	info, mandate, self, docs, err := c.verifySubmission(ctx, from, call.Body)
	if err != nil {
		return Reply{}, none, err
	}
	now := time.Now()
	known, err := c.o.Store.Transfer(ctx, fmt.Sprintf("%x", info.Body.ID))
	if err == nil {
		return c.receiveRevision(ctx, known, from, info, mandate, docs)
	}
	if !errors.Is(err, ErrUnknown) {
		return Reply{}, none, err
	}
	if err := c.admits(ctx, from, len(info.Body.Devices)); err != nil {
		return Reply{}, none, err
	}
	verifier, unknown, err := c.demands(ctx, info.Body.Devices)
	if err != nil {
		return Reply{}, none, err
	}
	answer, err := transfer.JudgeInfo(info, mandate, c.o.Name, now, func(p transfer.DevicePair) transfer.Reason {
		switch {
		case unknown != "":
			return unknown
		case demanded(p) != demanded(info.Body.Devices[0]):
			return "another verifier is demanded than for the other devices"
		}
		return c.judge(ctx, p, now, "")
	})
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if ctx.Err() != nil {
		return Reply{}, none, ctx.Err() // a reason must not be an interruption
	}
	if contains(answer, clearing) {
		return Reply{}, none, fmt.Errorf("%w: %s", ErrNotYet, clearing)
	}
	if docs.Answer, err = answer.Encode(); err != nil {
		return Reply{}, none, err
	}
	t := Transfer{
		ID: fmt.Sprintf("%x", info.Body.ID), Incoming: true, Partner: from.ID, PartnerName: from.Name,
		State: transfer.BatchInfoSent, Info: info.Hash, CreatedAt: now, CreatedBy: "peer:" + from.Name,
	}
	t.adopt(mandate, self)
	t.Verifier, t.Attest = verifier, t.Attest || verifier != ""
	ch := Change{Transfer: &t, Documents: docs}
	if err := fillRows(&t, &ch, info, answer, now); err != nil {
		return Reply{}, none, err
	}
	on := transfer.BatchAnswer
	if !contains(answer, "") {
		on, t.Reason = transfer.BatchRefuse, "no device was accepted"
	}
	if err := t.apply(on, now); err != nil {
		return Reply{}, none, err
	}
	t.Pending = nil // the answer tells the partner
	ch.Audit = append(ch.Audit, auditedTransfer(Transfer{}, t, t.CreatedBy)...)
	return Reply{TypeCBOR, docs.Answer}, ch, nil
}

// clearing is why a device cannot be judged yet: a transfer of it has ended, and its right
// is being closed.
const clearing transfer.Reason = "a transfer before is being cleared away"

func contains(a transfer.Answer, reason transfer.Reason) bool {
	for _, d := range a.Devices {
		if d.Reason == reason {
			return true
		}
	}
	return false
}

// verifySubmission checks the signatures of info and mandate, and that they
// belong together and to the partner that sent them.
func (c *Coordinator) verifySubmission(ctx context.Context, from Partner, raw []byte) (
	info *transfer.Signed[transfer.Info], mandate *transfer.Signed[transfer.Mandate], self bool, docs Documents, err error,
) {
	var s Submission
	if err := decodeJSON(raw, &s); err != nil {
		return nil, nil, false, docs, err
	}
	signer, err := from.signer()
	if err != nil {
		return nil, nil, false, docs, err
	}
	if info, err = transfer.VerifyInfo(s.info(), signer); err != nil {
		return nil, nil, false, docs, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if info.Body.Issuer != from.Name {
		return nil, nil, false, docs, refusedf(ErrInvalid, "info of %.80q", info.Body.Issuer)
	}
	if mandate, self, err = c.verifyMandate(ctx, s.Mandate, from.Name, from.Signing); err != nil {
		return nil, nil, false, docs, err
	}
	return info, mandate, self, Documents{Mandate: s.Mandate, Info: s.info()}, nil
}

// judge says why we cannot take a device; "" if we can. in is the transfer that it is in
// already, "" before.
func (c *Coordinator) judge(ctx context.Context, p transfer.DevicePair, now time.Time, in string) transfer.Reason {
	leaf, err := p.Factory.X509()
	switch {
	case err != nil:
		return "no X.509 factory certificate"
	case usable(p.Switch.RA, leaf) != "":
		return usable(p.Switch.RA, leaf)
	case c.o.CA.VerifyFactory(ctx, leaf, nil) != nil:
		return "factory certificate is of no listed CA, or not valid"
	case !now.Before(p.Switch.Window.Latest.Time()):
		return "window has passed"
	case p.Switch.Objects != (transfer.ObjectIDs{
		Truststore: c.o.Objects.Truststore, Enrolment: c.o.Objects.Enrolment, Transfer: c.o.Objects.Transfer,
	}):
		return "object ids differ from ours"
	}
	factory := fleet.Factory(transfer.HashOf(leaf.Raw))
	d, err := c.o.Fleet.ByFactory(ctx, factory)
	if err == nil && d.Ownership == fleet.Owned {
		return "already owned"
	}
	if err != nil && !errors.Is(err, fleet.ErrUnknown) {
		return "cannot be looked up now"
	}
	if _, err := c.former(ctx, leaf); errors.Is(err, fleet.ErrConflict) {
		return "endpoint name belongs to another device"
	}
	rows, err := c.o.Store.OpenRows(ctx, factory)
	rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Transfer == in })
	switch going := func(r Row) bool { return !r.Ended() }; {
	case err != nil, slices.ContainsFunc(rows, going):
		return "already in a transfer"
	case len(rows) > 0:
		return clearing
	}
	right, err := c.o.CA.Right(ctx, est.Hash(factory))
	if err == nil && right.State != est.RightClosed && right.State != est.RightDeleted {
		return "holds a right to enrol here already"
	}
	return ""
}

// fillRows makes the rows of an incoming transfer, and its window: that in which
// every accepted device may be told to commit.
func fillRows(t *Transfer, ch *Change, info *transfer.Signed[transfer.Info], answer transfer.Answer, now time.Time,
) error {
	for i, p := range info.Body.Devices {
		raw, err := transfer.EncodeDevices([]transfer.DevicePair{p})
		if err != nil {
			return err
		}
		hash, err := p.Factory.Hash()
		if err != nil {
			return err
		}
		r := Row{
			Transfer: t.ID, Factory: fleet.Factory(hash), Incoming: true, State: transfer.RowListed, Pair: raw,
			Reason: string(answer.Devices[i].Reason),
		}
		r.Short = r.Factory.Short()
		if leaf, err := p.Factory.X509(); err == nil {
			r.Endpoint = lwm2m.Endpoint(leaf.Subject.CommonName)
		}
		before := r
		if answer.Devices[i].Reason == "" {
			t.narrow(p.Switch.Window)
		} else if err := r.apply(transfer.RowReject, now); err != nil {
			return err
		}
		r.Due = time.Time{}
		ch.Rows = append(ch.Rows, r)
		ch.Audit = append(ch.Audit, audited(before, r, t.CreatedBy)...)
	}
	return nil
}

// narrow leaves of the transfer's window what lies inside w too.
func (t *Transfer) narrow(w transfer.Window) {
	t.Window.Earliest = max(t.Window.Earliest, w.Earliest)
	if t.Window.Latest == 0 || w.Latest < t.Window.Latest {
		t.Window.Latest = w.Latest
	}
}
