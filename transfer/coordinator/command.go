package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// Errors of commands and calls.
var (
	// ErrState reports a command or call that the present state does not accept.
	ErrState = errors.New("not in this state")
	// ErrApprover reports an approval by the person who drafted the transfer.
	ErrApprover = errors.New("another person must approve")
	// ErrInvalid reports input that can never be right.
	ErrInvalid = errors.New("invalid")
	// ErrForbidden reports a partner that may not do this.
	ErrForbidden = errors.New("partner may not do this")
	// ErrNotYet reports a call that comes before what it builds on was stored here; it
	// is to be repeated.
	ErrNotYet = errors.New("not yet")
	// ErrKeyReused reports an idempotency key that came with another body.
	ErrKeyReused = errors.New("idempotency key was used for another request")
)

// A Draft is what an operator asks for.
type Draft struct {
	Partner string          // id
	Devices []fleet.ID      // at least one
	Window  transfer.Window // Earliest 0: now; Latest 0: a day after it
	Mandate []byte          // COSE_Sign1 of the service user; nil: we sign it ourselves
	Note    string
	Actor   string
	Attest  bool // demand attestation; a mandate of the service user decides alone
	// Verifier is the provider whose verdict is demanded, and attestation with it; "": as
	// the partner's record says, with a mandate of the service user only if that demands
	// attestation.
	Verifier string
	// Update is the id of a release that devices get before they leave, or NewestRelease;
	// "": none.
	Update string
	// Rehearse has devices led to READY and back; nothing moves.
	Rehearse bool
}

const (
	defaultWindow = 24 * time.Hour
	idLength      = 16 // bytes of a transfer's id: unguessable
)

// Draft stores a new outgoing transfer, which does nothing before Submit. It
// returns ErrInvalid, ErrUnknown for a partner or device, ErrState for a device
// that is not ours to give, and ErrBusy.
func (c *Coordinator) Draft(ctx context.Context, d Draft) (Transfer, error) {
	now := time.Now()
	t, docs, err := c.drafted(ctx, d, now)
	if err != nil {
		return Transfer{}, err
	}
	ch := Change{Transfer: &t, Documents: docs, Audit: []audit.Row{{
		Actor: d.Actor, Action: "transfer.draft", Subject: t.ID, Reason: d.Note, After: string(t.State),
	}}}
	listed := map[fleet.ID]bool{}
	for _, id := range d.Devices {
		if listed[id] {
			return Transfer{}, refusedf(ErrInvalid, "device %s stands twice", id)
		}
		listed[id] = true
		r, err := c.listed(ctx, id, t.ID)
		if err != nil {
			return Transfer{}, err
		}
		ch.Rows = append(ch.Rows, r)
	}
	if d.Mandate != nil {
		if err := c.stillMandated(ctx, d.Mandate, ch.Rows); err != nil {
			return Transfer{}, err
		}
	}
	if err := c.commit(ctx, ch); err != nil {
		return Transfer{}, err
	}
	return c.Get(ctx, t.ID)
}

// drafted checks all of a draft but its devices.
func (c *Coordinator) drafted(ctx context.Context, d Draft, now time.Time) (Transfer, Documents, error) {
	partner, err := c.o.Store.Partner(ctx, d.Partner)
	if err != nil {
		return Transfer{}, Documents{}, fmt.Errorf("partner %q: %w", d.Partner, err)
	}
	if partner.Kind != Provider || !partner.Admitted() {
		return Transfer{}, Documents{}, refusedf(ErrState, "partner %s is a %s %s", partner.Name, partner.State, partner.Kind)
	}
	if d.Window.Earliest == 0 {
		d.Window.Earliest = transfer.SecondsOf(now)
	}
	if d.Window.Latest == 0 {
		d.Window.Latest = transfer.SecondsOf(d.Window.Earliest.Time().Add(defaultWindow))
	}
	switch latest := d.Window.Latest; {
	case latest <= d.Window.Earliest || !now.Before(latest.Time()):
		return Transfer{}, Documents{}, refusedf(ErrInvalid, "the window ends before it begins, or is over")
	case len(d.Devices) == 0 || len(d.Devices) > transfer.MaxDevices:
		return Transfer{}, Documents{}, refusedf(ErrInvalid, "%d devices", len(d.Devices))
	case d.Rehearse && d.Update != "":
		return Transfer{}, Documents{}, refusedf(ErrInvalid, "a rehearsal changes nothing on devices: it has no last update")
	}
	if err := c.settleVerifier(ctx, &d, partner); err != nil {
		return Transfer{}, Documents{}, err
	}
	last, err := c.choose(ctx, d)
	if err != nil {
		return Transfer{}, Documents{}, err
	}
	id := make([]byte, idLength)
	_, _ = rand.Read(id) // never fails
	t := Transfer{
		ID: hex.EncodeToString(id), Partner: partner.ID, PartnerName: partner.Name, State: transfer.BatchDraft,
		Window: d.Window, Note: d.Note, CreatedAt: now, CreatedBy: d.Actor, Due: d.Window.Latest.Time(),
		Self: d.Mandate == nil, Gates: Gates{Attest: d.Attest}, Verifier: d.Verifier, Last: last,
		Rehearsal: Rehearsal{Rehearse: d.Rehearse},
	}
	if d.Mandate == nil {
		return t, Documents{}, nil
	}
	if _, err := c.takeMandate(ctx, &t, d.Mandate, now); err != nil {
		return Transfer{}, Documents{}, err
	}
	t.demand(d, partner)
	return t, Documents{Mandate: d.Mandate}, nil
}

// listed makes the row of a device that is ours to give.
func (c *Coordinator) listed(ctx context.Context, id fleet.ID, transferID string) (Row, error) {
	d, err := c.o.Fleet.Device(ctx, id)
	if errors.Is(err, fleet.ErrUnknown) {
		return Row{}, fmt.Errorf("%w: device %s", ErrUnknown, id)
	}
	if err != nil {
		return Row{}, err
	}
	if d.Ownership != fleet.Owned || d.Factory == (fleet.Factory{}) {
		return Row{}, refusedf(ErrState, "device %s is %s, or has no factory certificate", d.Endpoint, d.Ownership)
	}
	if _, err := c.o.CA.Right(ctx, est.Hash(d.Factory)); err != nil {
		return Row{}, fmt.Errorf("%w: device %s: %w", ErrState, d.Endpoint, err)
	}
	return Row{
		Transfer: transferID, Short: d.Factory.Short(), Device: id, Factory: d.Factory, Endpoint: d.Endpoint,
		State: transfer.RowListed,
	}, nil
}

// command changes a transfer on behalf of a person.
func (c *Coordinator) command(ctx context.Context, id, actor string, change func(*Transfer, *Change) error) (
	Transfer, error,
) {
	for {
		t, err := c.o.Store.Transfer(ctx, id)
		if err != nil {
			return Transfer{}, err
		}
		before, ch := t, Change{Transfer: &t}
		if err := change(&t, &ch); err != nil {
			return Transfer{}, err
		}
		ch.Audit = append(ch.Audit, auditedTransfer(before, t, actor)...)
		err = c.commit(ctx, ch)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return Transfer{}, err
		}
		c.poked(keyTransfer + id)
		return c.Get(ctx, id)
	}
}

// Submit signs the DeviceUpdateInfo of a draft and posts it to the partner. It
// returns ErrUnknown or ErrState.
func (c *Coordinator) Submit(ctx context.Context, id, actor string) (Transfer, error) {
	return c.command(ctx, id, actor, func(t *Transfer, ch *Change) error {
		if t.State != transfer.BatchDraft {
			return refusedf(ErrState, "transfer is %s", t.State)
		}
		if err := c.submit(ctx, t, ch); err != nil {
			return err
		}
		return t.apply(transfer.BatchSend, time.Now())
	})
}

// Approve is the one decision of each side: at the incoming provider it signs the
// offer, at the outgoing one it accepts it. It returns ErrUnknown, ErrState or
// ErrApprover.
func (c *Coordinator) Approve(ctx context.Context, id, actor, reason string) (Transfer, error) {
	people, err := c.o.People(ctx)
	if err != nil {
		return Transfer{}, err
	}
	return c.command(ctx, id, actor, func(t *Transfer, ch *Change) error {
		now := time.Now()
		on, at := transfer.BatchApprove, transfer.BatchOffered
		if t.Incoming {
			on, at = transfer.BatchOffer, transfer.BatchInfoAccepted
		}
		switch {
		case t.State != at:
			return refusedf(ErrState, "transfer is %s", t.State)
		case t.expired(now):
			return refusedf(ErrState, "the offer has expired")
		case people > 1 && audit.SamePerson(actor, t.CreatedBy):
			return ErrApprover
		case t.Incoming:
			if err := c.makeOffer(ctx, t, ch, now); err != nil {
				return err
			}
		}
		t.Approvals = append(t.Approvals, Approval{Side: c.o.Name, By: actor, At: now, Reason: reason})
		t.Reason = ""
		before := t.State
		if err := t.apply(on, now); err != nil {
			return err
		}
		ch.Audit = append(ch.Audit, audit.Row{
			Actor: actor, Action: "transfer.approve", Subject: t.ID, Reason: reason, Before: string(before),
			After: string(t.State),
		})
		return nil
	})
}

// Withdraw ends a transfer before any device was told to commit, at either side.
// It returns ErrUnknown or ErrState.
func (c *Coordinator) Withdraw(ctx context.Context, id, actor, reason string) (Transfer, error) {
	return c.command(ctx, id, actor, func(t *Transfer, _ *Change) error {
		t.Reason = "withdrawn"
		if reason != "" {
			t.Reason += ": " + reason
		}
		return t.apply(transfer.BatchCancel, time.Now())
	})
}

// Resume lets the commits of a paused transfer go on, whatever failed until now.
// It returns ErrUnknown or ErrState.
func (c *Coordinator) Resume(ctx context.Context, id, actor, reason string) (Transfer, error) {
	return c.command(ctx, id, actor, func(t *Transfer, _ *Change) error {
		if !t.Paused {
			return refusedf(ErrState, "transfer is not paused")
		}
		n, err := c.tally(ctx, id)
		if err != nil {
			return err
		}
		t.Paused, t.Reason = false, reason
		t.accept(n)
		return t.apply(transfer.BatchResume, time.Now())
	})
}
