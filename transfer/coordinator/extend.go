package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/transfer"
)

// An Extended is what is known of a later end of a transfer's window.
type Extended struct {
	// Asked is the window that the outgoing provider has asked for, and that the
	// incoming one has not signed; Latest 0: none.
	Asked        transfer.Window
	AskedMandate transfer.Hash // that covers Asked
	// Promised is the latest end that was ever asked for. The outgoing provider must
	// take it for granted from then on: the answer may have been lost.
	Promised transfer.Seconds
	// Moved says that the window is not the offer's any more.
	Moved        bool
	MovedMandate transfer.Hash // that covers the window then
}

// An Extension is an operator's wish to have the window of a transfer end later.
type Extension struct {
	Transfer string
	Latest   time.Time // at the incoming provider: zero, what was asked is agreed to
	// Mandate is COSE_Sign1 of the same service user; nil: the present one covers it, or
	// it is ours to sign.
	Mandate []byte
	Actor   string
	Reason  string
}

// Extend asks the partner for a later end of the window; at the incoming provider it
// agrees, by its signature, to what was asked. Neither is possible once the window has
// passed. It returns ErrUnknown, ErrState or ErrInvalid.
func (c *Coordinator) Extend(ctx context.Context, e Extension) (Transfer, error) {
	return c.command(ctx, e.Transfer, e.Actor, func(t *Transfer, ch *Change) error {
		now := time.Now()
		before := t.Window
		if !now.Before(before.Latest.Time()) {
			return refusedf(ErrState, "the window has passed")
		}
		papers, err := c.o.Store.Papers(ctx, t.ID)
		if err != nil {
			return err
		}
		if t.Incoming {
			err = c.agree(t, ch, papers, e, now)
		} else {
			err = c.ask(ctx, t, ch, e, now)
		}
		if err != nil {
			return err
		}
		after := t.Window
		if !t.Incoming {
			after = t.Asked
		}
		ch.Audit = append(ch.Audit, audit.Row{
			Actor: e.Actor, Action: "transfer.extend", Subject: t.ID, Reason: e.Reason,
			Before: stamp(before.Latest), After: stamp(after.Latest),
		})
		return nil
	})
}

func stamp(s transfer.Seconds) string { return s.Time().Format(time.RFC3339) }

// ask notes what the partner is to be asked.
func (c *Coordinator) ask(ctx context.Context, t *Transfer, ch *Change, e Extension, now time.Time) error {
	w := transfer.Window{Earliest: t.Window.Earliest, Latest: transfer.SecondsOf(e.Latest)}
	if w.Latest <= t.Window.Latest {
		return refusedf(ErrInvalid, "the window would not end later")
	}
	docs, err := c.o.Store.Documents(ctx, t.ID)
	if err := errors.Join(err, c.room(ctx, t.ID, PaperAsk)); err != nil {
		return err
	}
	x := transfer.Extension{Mandate: t.Mandate, Window: w, Transfer: t.Key(), Document: e.Mandate}
	if x.Document == nil && t.Self {
		if x.Document, err = c.widerMandate(ctx, *t, w, now); err != nil {
			return err
		}
	}
	if x.Mandate, err = c.covers(ctx, *t, docs, x, ourselves(c)); err != nil {
		return err
	}
	raw, err := x.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t.Asked, t.AskedMandate, t.Promised = w, x.Mandate, max(t.Promised, w.Latest)
	ch.Papers = append(ch.Papers, Paper{PaperAsk, raw, now})
	return t.apply(transfer.BatchAsk, now)
}

// widerMandate is the mandate of a transfer that has none of a service user, for a
// window that ends later.
func (c *Coordinator) widerMandate(ctx context.Context, t Transfer, w transfer.Window, now time.Time) ([]byte, error) {
	var rows []Row
	if err := c.eachRow(ctx, t.ID, func(r Row) error { rows = append(rows, r); return nil }); err != nil {
		return nil, err
	}
	t.Window = w
	return c.selfMandate(&t, rows, now)
}

// covers checks that a mandate covers what is asked for, and nothing less than that
// with which the transfer began: the one that it began with, or, if there is a new
// document, one of the same issuer for the same providers and at least its devices. It
// returns the mandate's hash, and ErrInvalid.
func (c *Coordinator) covers(ctx context.Context, t Transfer, docs Documents, x transfer.Extension, by mandator) (
	transfer.Hash, error,
) {
	first, err := transfer.ParseMandate(docs.Mandate)
	if err != nil {
		return transfer.Hash{}, err
	}
	m := first
	if x.Document != nil {
		if m, _, err = c.verifyMandate(ctx, x.Document, by); err != nil {
			return transfer.Hash{}, err
		}
	}
	a, b := &first.Body, &m.Body
	switch {
	case x.Mandate != m.Hash && x.Document == nil:
		err = refusedf(ErrInvalid, "extension under another mandate")
	case b.Issuer != a.Issuer || b.From != a.From || b.To != a.To:
		err = refusedf(ErrInvalid, "the mandate is of %.80q, from %.80q to %.80q", b.Issuer, b.From, b.To)
	case !x.Window.Within(b.Window) || b.Expires < x.Window.Latest:
		err = refusedf(ErrInvalid, "the mandate ends before that window would")
	case !b.AsStrictAs(a):
		err = refusedf(ErrInvalid, "the mandate demands less than the one before")
	default:
		err = c.eachRow(ctx, t.ID, func(r Row) error {
			if r.Ended() {
				return nil
			}
			named, err := c.names(ctx, b, r)
			if err == nil && !named {
				err = refusedf(ErrInvalid, "device %s is not in the mandate", r.Endpoint)
			}
			return err
		})
	}
	return m.Hash, err
}

// postAsk asks the partner. If it refuses, everything stays as it was.
func (c *Coordinator) postAsk(ctx context.Context, t *Transfer) error {
	err := c.postPaper(ctx, *t, PaperAsk, ActionExtend)
	if errors.Is(err, ErrDeclined) {
		t.Asked, t.Reason = transfer.Window{}, err.Error()
		return nil
	}
	return err
}

// postPaper sends the newest paper of a kind to the partner. It returns ErrDeclined if
// that refuses.
func (c *Coordinator) postPaper(ctx context.Context, t Transfer, kind PaperKind, action Action) error {
	papers, err := c.o.Store.Papers(ctx, t.ID)
	if err != nil {
		return err
	}
	partner, err := c.o.Store.Partner(ctx, t.Partner)
	if err != nil {
		return err
	}
	if !partner.Admitted() {
		return refusedf(ErrForbidden, "partner %s is %s", partner.Name, partner.State)
	}
	call := Call{Action: action, Transfer: t.ID, Body: newest(papers, kind)}
	call.Key = keyOf(call)
	_, err = c.o.Peers.Post(ctx, partner, call)
	return err
}

// receiveAsk takes the outgoing provider's wish, for somebody here to agree to it.
func (c *Coordinator) receiveAsk(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	x, err := transfer.ParseExtension(call.Body)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, err := c.transferWith(ctx, from, call.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	now := time.Now()
	switch {
	case string(x.Transfer) != string(t.Key()):
		return Reply{}, none, refusedf(ErrInvalid, "body of another transfer")
	case !t.Incoming, !now.Before(t.Window.Latest.Time()):
		return Reply{}, none, refusedf(ErrState, "the window has passed, or is not theirs to move")
	case x.Window.Earliest != t.Window.Earliest || x.Window.Latest <= t.Window.Latest:
		return Reply{}, none, refusedf(ErrInvalid, "the window would not end later, or begin elsewhere")
	}
	docs, err := c.o.Store.Documents(ctx, t.ID)
	if err := errors.Join(err, c.room(ctx, t.ID, PaperAsk)); err != nil {
		return Reply{}, none, err
	}
	hash, err := c.covers(ctx, t, docs, x, from.mandator())
	if err != nil {
		return Reply{}, none, err
	}
	if hash != x.Mandate {
		return Reply{}, none, refusedf(ErrInvalid, "not the mandate that the extension names")
	}
	t.Asked, t.AskedMandate = x.Window, hash
	if err := t.apply(transfer.BatchAsk, now); err != nil {
		return Reply{}, none, err
	}
	return Reply{}, Change{Transfer: &t, Papers: []Paper{{PaperAsk, call.Body, now}}, Audit: []audit.Row{{
		Actor: "peer:" + from.Name, Action: "transfer.extension_asked", Subject: t.ID, Before: stamp(t.Window.Latest),
		After: stamp(x.Window.Latest),
	}}}, nil
}

// agree signs what was asked.
func (c *Coordinator) agree(t *Transfer, ch *Change, papers []Paper, e Extension, now time.Time) error {
	x, err := transfer.ParseExtension(newest(papers, PaperAsk))
	switch {
	case t.Asked.Latest == 0 || err != nil:
		return refusedf(ErrState, "the partner asks for no extension")
	case !e.Latest.IsZero() && transfer.SecondsOf(e.Latest) != t.Asked.Latest:
		return refusedf(ErrInvalid, "the partner asks for %s", stamp(t.Asked.Latest))
	}
	raw, err := transfer.Agreement{
		Issuer: c.o.Name, Audience: t.PartnerName, IssuedAt: transfer.SecondsOf(now),
		AgreementTerms: transfer.AgreementTerms{
			Offer: t.Offer, Mandate: x.Mandate, Window: t.Asked, Transfer: t.Key(),
		},
	}.Sign(c.o.Signer)
	if err != nil {
		return err
	}
	t.move(x)
	t.Approvals = append(t.Approvals, Approval{Side: c.o.Name, By: e.Actor, At: now, Reason: e.Reason})
	ch.Papers = append(ch.Papers, Paper{PaperAgreement, raw, now})
	return t.apply(transfer.BatchExtend, now)
}

// move gives the transfer the window that was asked for.
func (t *Transfer) move(x transfer.Extension) {
	t.Window, t.Asked, t.Moved, t.MovedMandate, t.Reason = t.Asked, transfer.Window{}, true, x.Mandate, ""
	if m, err := transfer.ParseMandate(x.Document); err == nil {
		t.MandateUntil = m.Body.Expires.Time()
	}
}

// postAgreement sends what was signed. A partner whose window has passed meanwhile has
// told, or will, that the devices stay.
func (c *Coordinator) postAgreement(ctx context.Context, t *Transfer) error {
	err := c.postPaper(ctx, *t, PaperAgreement, ActionExtension)
	if errors.Is(err, ErrDeclined) {
		t.Reason = err.Error()
		return nil
	}
	return err
}

// receiveAgreement moves the window at the outgoing provider. Devices that wait for
// their Commit with a message that ends before go on; the others get a new one when it
// is their turn, see renew.
func (c *Coordinator) receiveAgreement(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	var none Change
	t, err := c.transferWith(ctx, from, call.Transfer)
	if err != nil {
		return Reply{}, none, err
	}
	signer, err := from.signer()
	if err != nil {
		return Reply{}, none, err
	}
	signed, err := transfer.VerifyAgreement(call.Body, signer)
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	papers, err := c.o.Store.Papers(ctx, t.ID)
	if err != nil {
		return Reply{}, none, err
	}
	a, now := &signed.Body, time.Now()
	switch {
	case a.Issuer != from.Name || a.Audience != c.o.Name || string(a.Transfer) != string(t.Key()) || a.Offer != t.Offer:
		return Reply{}, none, refusedf(ErrInvalid, "agreement to another offer")
	case t.Incoming || t.Asked.Latest == 0 || !now.Before(t.Window.Latest.Time()):
		return Reply{}, none, refusedf(ErrState, "nothing is asked for, or the window has passed")
	case a.Window != t.Asked || a.Mandate != t.AskedMandate:
		return Reply{}, none, refusedf(ErrInvalid, "agreement to something else than what was asked for")
	}
	x, err := transfer.ParseExtension(newest(papers, PaperAsk))
	if err != nil {
		return Reply{}, none, err
	}
	before := t.Window
	t.move(x)
	if err := t.apply(transfer.BatchExtend, now); err != nil {
		return Reply{}, none, err
	}
	return Reply{}, Change{Transfer: &t, Papers: []Paper{{PaperAgreement, call.Body, now}}, Audit: []audit.Row{{
		Actor: "peer:" + from.Name, Action: "transfer.extend", Subject: t.ID, Before: stamp(before.Latest),
		After: stamp(t.Window.Latest),
	}}}, nil
}
