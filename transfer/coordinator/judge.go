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

// receiveInfo is step 2: it judges the info, device by device, and answers. Nothing
// changes before the last device was read.
func (c *Coordinator) receiveInfo(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	sub, err := c.verifySubmission(ctx, from, call)
	if err != nil {
		return Reply{}, none, err
	}
	head := sub.info.Head.Body
	known, err := c.o.Store.Transfer(ctx, fmt.Sprintf("%x", head.ID))
	if err == nil {
		info, err := sub.info.All()
		if err != nil {
			return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return c.receiveRevision(ctx, known, from, info, sub.mandate, sub.docs)
	}
	if !errors.Is(err, ErrUnknown) {
		return Reply{}, none, err
	}
	if err := c.admits(ctx, from, sub.info.Len); err != nil {
		return Reply{}, none, err
	}
	now := time.Now()
	t := Transfer{
		ID: fmt.Sprintf("%x", head.ID), Incoming: true, Partner: from.ID, PartnerName: from.Name,
		State: transfer.BatchInfoSent, Info: sub.info.Head.Hash, CreatedAt: now, CreatedBy: "peer:" + from.Name,
	}
	t.adopt(sub.mandate, sub.self)
	ch := Change{Transfer: &t}
	if err := c.judgeAll(ctx, &t, &ch, &sub, now); err != nil {
		return Reply{}, none, err
	}
	ch.Documents = sub.docs
	on := transfer.BatchAnswer
	if !slices.ContainsFunc(ch.Rows, func(r Row) bool { return r.Reason == "" }) {
		on, t.Reason = transfer.BatchRefuse, "no device was accepted"
	}
	if err := t.apply(on, now); err != nil {
		return Reply{}, none, err
	}
	t.Pending = nil // the answer tells the partner
	ch.Audit = append(ch.Audit, auditedTransfer(Transfer{}, t, t.CreatedBy)...)
	return Reply{TypeCBOR, sub.docs.Answer}, ch, nil
}

// judgeAll judges the devices and makes their rows.
func (c *Coordinator) judgeAll(ctx context.Context, t *Transfer, ch *Change, sub *submitted, now time.Time) error {
	first, err := sub.info.First()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	verifier, unknown, err := c.demands(ctx, first)
	if err != nil {
		return err
	}
	t.Verifier, t.Attest = verifier, t.Attest || verifier != ""
	ch.Rows = make([]Row, 0, sub.info.Len)
	answer, err := sub.info.Judge(sub.mandate, c.o.Name, now, func(p transfer.DevicePair) transfer.Reason {
		switch {
		case unknown != "":
			return unknown
		case demanded(p) != demanded(first):
			return "another verifier is demanded than for the other devices"
		}
		return c.judge(ctx, p, now, "")
	}, func(p transfer.DevicePair, v transfer.Verdict) error {
		if err := ctx.Err(); err != nil {
			return err // a reason must not be an interruption
		}
		if v.Reason == clearing {
			return fmt.Errorf("%w: %s", ErrNotYet, clearing)
		}
		return fillRow(t, ch, p, v.Reason, now)
	})
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrNotYet):
		return errors.Join(ctx.Err(), err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	sub.docs.Answer, err = answer.Encode()
	return err
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

// A submitted is a submission whose signatures were checked.
type submitted struct {
	info    *transfer.InfoStream
	mandate *transfer.Signed[transfer.Mandate]
	self    bool // the outgoing provider signed the mandate itself
	docs    Documents
}

// verifySubmission checks the signatures of info and mandate, and that they
// belong together and to the partner that sent them. No device is decoded yet.
func (c *Coordinator) verifySubmission(ctx context.Context, from Partner, call Call) (s submitted, err error) {
	if s.docs, err = ReadSubmission(call.text()); err != nil {
		return s, err
	}
	signer, err := from.signer()
	if err != nil {
		return s, err
	}
	if s.info, err = transfer.OpenInfo(s.docs.Info, signer); err != nil {
		return s, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if issuer := s.info.Head.Body.Issuer; issuer != from.Name {
		return s, refusedf(ErrInvalid, "info of %.80q", issuer)
	}
	s.mandate, s.self, err = c.verifyMandate(ctx, s.docs.Mandate, from.mandator())
	return s, err
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

// fillRow makes the row of a device, and narrows the window to that in which every
// accepted device may be told to commit.
func fillRow(t *Transfer, ch *Change, p transfer.DevicePair, reason transfer.Reason, now time.Time) error {
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
		Reason: string(reason),
	}
	r.Short = r.Factory.Short()
	if leaf, err := p.Factory.X509(); err == nil {
		r.Endpoint = lwm2m.Endpoint(leaf.Subject.CommonName)
	}
	before := r
	if reason == "" {
		t.narrow(p.Switch.Window)
	} else if err := r.apply(transfer.RowReject, now); err != nil {
		return err
	}
	r.Due = time.Time{}
	ch.Rows = append(ch.Rows, r)
	ch.Audit = append(ch.Audit, audited(before, r, t.CreatedBy)...)
	return nil
}

// narrow leaves of the transfer's window what lies inside w too.
func (t *Transfer) narrow(w transfer.Window) {
	t.Window.Earliest = max(t.Window.Earliest, w.Earliest)
	if t.Window.Latest == 0 || w.Latest < t.Window.Latest {
		t.Window.Latest = w.Latest
	}
}
