package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/transfer"
)

// Revise tells the partner anew what the devices run (transfer protocol §4, step 1): a
// later update voids what it was told. Before the devices are staged it voids an offer
// too, and the partner approves another. It returns ErrUnknown or ErrState.
func (c *Coordinator) Revise(ctx context.Context, id, actor, reason string) (Transfer, error) {
	return c.command(ctx, id, actor, func(t *Transfer, ch *Change) error {
		if !t.revisable() {
			return refusedf(ErrState, "transfer is %s", t.State)
		}
		return c.revise(ctx, t, ch, actor, reason)
	})
}

// revise signs another information, to be posted.
func (c *Coordinator) revise(ctx context.Context, t *Transfer, ch *Change, actor, reason string) error {
	before, err := c.Documents(ctx, t.ID)
	if err := errors.Join(err, c.room(ctx, t.ID, PaperInfo)); err != nil {
		return err
	}
	was := t.Info
	if err := c.submit(ctx, t, ch); err != nil {
		return err
	}
	ch.Papers = append(ch.Papers, superseded(before)...)
	ch.Audit = append(ch.Audit, audit.Row{
		Actor: actor, Action: "transfer.revise", Subject: t.ID, Reason: reason, Before: was.String(), After: t.Info.String(),
	})
	if t.Revised, t.Reason = true, ""; t.State != transfer.BatchStaging {
		t.void()
	}
	return t.apply(transfer.BatchRevise, time.Now())
}

// superseded are the documents that a revision replaces.
func superseded(d Documents) (out []Paper) {
	now := time.Now()
	if d.Answer != nil { // an information without answer has led to nothing
		out = append(out, Paper{PaperInfo, d.Info, now}, Paper{PaperAnswer, d.Answer, now})
	}
	return out
}

// void forgets an offer: it expired, was withdrawn, or what it answers was revised.
func (t *Transfer) void() {
	t.Offer, t.OfferUntil, t.Extended = transfer.Hash{}, time.Time{}, Extended{Promised: t.Promised}
}

// outdated reports whether a device runs something else than its row tells the partner.
func (r Row) outdated(installed []transfer.Installed) bool {
	pair, err := r.pair()
	return err == nil && !transfer.SameManifests(installed, pair.Switch.Manifests)
}

// receiveRevision is step 2 again, for a transfer that is known: the same devices, about
// which something else is told.
func (c *Coordinator) receiveRevision(
	ctx context.Context, t Transfer, from Partner, info *transfer.Signed[transfer.Info],
	mandate *transfer.Signed[transfer.Mandate], docs Documents,
) (Reply, Change, error) {
	var none Change
	before, err := c.Documents(ctx, t.ID)
	if err := errors.Join(err, c.room(ctx, t.ID, PaperInfo)); err != nil {
		return Reply{}, none, err
	}
	old, err := transfer.ParseInfo(before.Info)
	if err != nil {
		return Reply{}, none, err
	}
	rows := map[string]Row{}
	if err := c.eachRow(ctx, t.ID, func(r Row) error { rows[r.Short] = r; return nil }); err != nil {
		return Reply{}, none, err
	}
	_, refused := batchTable.Step(t.State, transfer.BatchRevise)
	switch {
	case t.Partner != from.ID || !t.Incoming || refused != nil:
		return Reply{}, none, refusedf(ErrState, "transfer %s exists, and is not to be revised", t.ID)
	case info.Body.IssuedAt <= old.Body.IssuedAt:
		return Reply{}, none, refusedf(ErrState, "revision is not later than what was told before")
	case info.Body.Mandate != old.Body.Mandate || !sameDevices(rows, info.Body.Devices):
		return Reply{}, none, refusedf(ErrInvalid, "revision under another mandate, or of other devices")
	case !sameDemand(info.Body.Devices, old.Body.Devices[0]):
		return Reply{}, none, refusedf(ErrInvalid, "revision demands another verifier")
	}
	now := time.Now()
	answer, err := transfer.JudgeInfo(info, mandate, c.o.Name, now, func(p transfer.DevicePair) transfer.Reason {
		return c.judgeAgain(ctx, p, rows, now)
	})
	if err != nil {
		return Reply{}, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if ctx.Err() != nil {
		return Reply{}, none, ctx.Err() // a reason must not be an interruption
	}
	if docs.Answer, err = answer.Encode(); err != nil {
		return Reply{}, none, err
	}
	docs.Mandate = nil // as before
	ch := Change{Transfer: &t, Documents: docs, Papers: superseded(before)}
	return Reply{TypeCBOR, docs.Answer}, ch, revised(&t, &ch, rows, info, answer, now)
}

// revised gives a transfer and its rows what the revision says.
func revised(t *Transfer, ch *Change, rows map[string]Row, info *transfer.Signed[transfer.Info],
	answer transfer.Answer, now time.Time,
) error {
	was, actor := *t, "peer:"+t.PartnerName
	t.Info, t.Revised = info.Hash, true
	if t.State != transfer.BatchStaging {
		t.void()
		t.Window = transfer.Window{}
	}
	if err := reviseRows(t, ch, rows, info, answer, now); err != nil {
		return err
	}
	on := transfer.BatchAnswer
	if !contains(answer, "") && t.State != transfer.BatchStaging {
		on, t.Reason = transfer.BatchRefuse, "no device was accepted"
	}
	ch.Audit = append(ch.Audit, audit.Row{
		Actor: actor, Action: "transfer.revise", Subject: t.ID, After: t.Info.String(),
	})
	if err := errors.Join(t.apply(transfer.BatchRevise, now), t.apply(on, now)); err != nil {
		return err
	}
	ch.Audit = append(ch.Audit, auditedTransfer(was, *t, actor)...)
	return nil
}

func sameDevices(rows map[string]Row, pairs []transfer.DevicePair) bool {
	known := func(p transfer.DevicePair) bool {
		hash, err := p.Factory.Hash()
		return err == nil && rows[hash.Thumbprint().String()].Factory == [len(hash)]byte(hash)
	}
	return len(rows) == len(pairs) && !slices.ContainsFunc(pairs, func(p transfer.DevicePair) bool { return !known(p) })
}

// judgeAgain says why we cannot take a device any more, or could not before.
func (c *Coordinator) judgeAgain(ctx context.Context, p transfer.DevicePair, rows map[string]Row, now time.Time,
) transfer.Reason {
	hash, err := p.Factory.Hash()
	if err != nil {
		return "no factory certificate"
	}
	r := rows[hash.Thumbprint().String()]
	if r.Ended() {
		return transfer.Reason(cut("its part has ended: " + r.Reason))
	}
	if r.State == transfer.RowReady {
		ready, _, err := c.stored(ctx, r, transfer.Ready)
		if err != nil || !transfer.SameManifests(ready.Body.Installed, p.Switch.Manifests) {
			return "its READY receipt says that it runs something else"
		}
	}
	return c.judge(ctx, p, now, r.Transfer)
}

// reviseRows gives the rows what is told of them now.
func reviseRows(t *Transfer, ch *Change, rows map[string]Row, info *transfer.Signed[transfer.Info],
	answer transfer.Answer, now time.Time,
) error {
	for i, p := range info.Body.Devices {
		raw, err := transfer.EncodeDevices([]transfer.DevicePair{p})
		if err != nil {
			return err
		}
		r := rows[answer.Devices[i].Device.String()]
		before := r
		r.Pair = raw
		if reason := answer.Devices[i].Reason; reason != "" {
			if err := r.refuse(string(reason), now); err != nil {
				return err
			}
		} else if t.Offer.IsZero() {
			t.narrow(p.Switch.Window)
		}
		if bytes.Equal(r.Pair, before.Pair) && r.State == before.State {
			continue
		}
		ch.Rows = append(ch.Rows, r)
		ch.Audit = append(ch.Audit, audited(before, r, "peer:"+t.PartnerName)...)
	}
	return nil
}

// refuse takes a device out that is not accepted, or not any more. The answer tells the
// partner.
func (r *Row) refuse(reason string, now time.Time) error {
	on := transfer.RowReject
	if !r.accepts(on) {
		on = transfer.RowAbort
	}
	if !r.accepts(on) {
		return nil // it has ended
	}
	r.Reason = reason
	if err := r.apply(on, now); err != nil {
		return err
	}
	r.Pending = slices.DeleteFunc(r.Pending, func(e transfer.RowEffect) bool { return e == transfer.RowTellClosed })
	return nil
}
