package coordinator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/transfer"
)

const (
	maxKey    = 200 // bytes of an idempotency key
	maxRepeat = 16  // how often a call is judged again because somebody was faster
)

// Identify returns the partner that a TLS key is pinned for; from is the address,
// for the audit. It returns ErrForbidden for a key that nobody has, and for one of
// a partner that is suspended, and ErrLimit for a partner that asks too often.
func (c *Coordinator) Identify(ctx context.Context, tls [sha256.Size]byte, from string) (Partner, error) {
	partners, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return Partner{}, err
	}
	i := slices.IndexFunc(partners, func(p Partner) bool { return p.Kind == Provider && p.Shows(tls) })
	refusal := audit.Row{Actor: "address:" + from, Action: "peer.refuse", Subject: fmt.Sprintf("%x", tls[:16])}
	switch {
	case i < 0:
		refusal.Reason = "key is pinned for no partner"
	case !partners[i].Admitted():
		refusal.Actor, refusal.Reason = "peer:"+partners[i].Name, "partner is "+string(partners[i].State)
	default:
		wait, tell := c.asks.take(partners[i], time.Now())
		if wait == 0 {
			return c.identified(ctx, partners[i], tls)
		}
		late := &LimitError{"too many calls in a minute", wait}
		if refusal.Actor, refusal.Reason = "peer:"+partners[i].Name, late.Error(); tell {
			c.refuse(ctx, refusal)
		}
		return Partner{}, late
	}
	c.refuse(ctx, refusal)
	return Partner{}, refusedf(ErrForbidden, "%s", refusal.Reason)
}

// identified returns a partner that has shown a key of its own.
func (c *Coordinator) identified(ctx context.Context, p Partner, tls [sha256.Size]byte) (Partner, error) {
	if p.TLSKey() == tls {
		return p, nil
	}
	if err := c.Seen(ctx, p.ID, tls); err != nil {
		return Partner{}, err
	}
	p.TLS = p.NextTLS
	return c.current(ctx, p)
}

// current returns a partner as it is now: since it was identified, a body may have come
// for a minute. It returns ErrForbidden for one that was suspended, or whose TLS key was
// replaced, meanwhile.
func (c *Coordinator) current(ctx context.Context, shown Partner) (Partner, error) {
	p, err := c.o.Store.Partner(ctx, shown.ID)
	switch {
	case err != nil:
		return Partner{}, err
	case !p.Admitted():
		return Partner{}, refusedf(ErrForbidden, "partner is %s", p.State)
	case !p.Shows(shown.TLSKey()):
		return Partner{}, refusedf(ErrForbidden, "the key that was shown has been replaced")
	}
	return p, nil
}

// Receive answers a call of a partner. The same key with the same body gets the
// same answer. It returns ErrUnknown, ErrState, ErrInvalid, ErrForbidden or
// ErrKeyReused, all of them audited.
func (c *Coordinator) Receive(ctx context.Context, from Partner, call Call) (Reply, error) {
	reply, err := c.answer(ctx, from, call)
	for _, refusal := range []error{ErrUnknown, ErrState, ErrInvalid, ErrForbidden, ErrKeyReused, ErrLimit} {
		if errors.Is(err, refusal) {
			c.refuse(ctx, audit.Row{
				Actor: "peer:" + from.Name, Action: "peer.refuse", Subject: call.Transfer,
				Reason: fmt.Sprintf("%s %s: %v", call.Action, call.Device, err),
			})
			break
		}
	}
	return reply, err
}

func (c *Coordinator) answer(ctx context.Context, from Partner, call Call) (Reply, error) {
	if !from.Admitted() || from.Kind != Provider {
		return Reply{}, refusedf(ErrForbidden, "partner is %s", from.State)
	}
	if call.Key == "" || len(call.Key) > maxKey {
		return Reply{}, refusedf(ErrInvalid, "idempotency key of %d bytes", len(call.Key))
	}
	receive := c.receiver(call.Action)
	if receive == nil {
		return Reply{}, refusedf(ErrUnknown, "action %.20q", call.Action)
	}
	digest, err := digestOf(call)
	if err != nil {
		return Reply{}, err
	}
	for range maxRepeat {
		reply, err := c.answerOnce(ctx, from, call, digest, receive)
		if !errors.Is(err, ErrConflict) {
			return reply, err
		}
	}
	return Reply{}, ErrConflict
}

// answerOnce answers a call, or returns ErrConflict if somebody was faster.
func (c *Coordinator) answerOnce(ctx context.Context, from Partner, call Call, digest [sha256.Size]byte,
	receive func(context.Context, Partner, Call) (Reply, Change, error),
) (Reply, error) {
	from, err := c.current(ctx, from)
	if err != nil {
		return Reply{}, err
	}
	before, known, err := c.answered(ctx, from, call, digest)
	if known || err != nil {
		return before, err
	}
	reply, ch, err := c.takeEither(ctx, from, call, digest, receive)
	if err != nil {
		return Reply{}, err
	}
	c.after(ctx, call, ch)
	return reply, nil
}

// take judges a call and stores what follows with the answer.
func (c *Coordinator) take(ctx context.Context, from Partner, call Call, digest [sha256.Size]byte,
	receive func(context.Context, Partner, Call) (Reply, Change, error),
) (Reply, Change, error) {
	release, err := c.hold(ctx, from, call)
	if err != nil {
		return Reply{}, Change{}, err
	}
	defer release()
	reply, ch, err := receive(ctx, from, call)
	if err != nil {
		return Reply{}, Change{}, err
	}
	ch.Answer = &Answer{Partner: from.ID, Key: call.Key, Request: digest, Reply: reply, At: time.Now()}
	return reply, ch, c.commit(ctx, ch)
}

// answered returns what the partner was told under the call's key. The status of a
// right is told anew: what it is now, it may not be later.
func (c *Coordinator) answered(ctx context.Context, from Partner, call Call, digest [sha256.Size]byte) (
	reply Reply, known bool, err error,
) {
	before, err := c.o.Store.Answer(ctx, from.ID, call.Key)
	switch {
	case errors.Is(err, ErrUnknown):
		return Reply{}, false, nil
	case err != nil:
		return Reply{}, false, err
	case before.Request != digest:
		return Reply{}, false, ErrKeyReused
	}
	return before.Reply, call.Action != ActionClose, nil
}

// after performs at once, as far as it can, what a call demands: a partner that
// was answered may rely on it.
func (c *Coordinator) after(ctx context.Context, call Call, ch Change) {
	if ch.Transfer != nil {
		c.poked(keyTransfer + ch.Transfer.ID)
	}
	if call.Action.AboutDevice() && len(ch.Rows) == 1 {
		c.settle(ctx, rowKey(ch.Rows[0].Transfer, ch.Rows[0].Short))
		return
	}
	if ch.Transfer == nil {
		for _, r := range ch.Rows {
			c.poked(rowKey(r.Transfer, r.Short))
		}
	}
}

func (c *Coordinator) receiver(a Action) func(context.Context, Partner, Call) (Reply, Change, error) {
	switch a {
	case ActionInfo:
		return c.receiveInfo
	case ActionOffer:
		return c.receiveOffer
	case ActionWithdraw:
		return c.receiveWithdrawal
	case ActionApprove:
		return c.receiveApproval
	case ActionExtend:
		return c.receiveAsk
	case ActionExtension:
		return c.receiveAgreement
	case ActionReady:
		return c.receiveReady
	case ActionCommitted:
		return c.receiveCommitted
	case ActionComplete:
		return c.receiveCompletion
	case ActionClose:
		return c.receiveClose
	case ActionChallenge:
		return c.receiveChallenge
	case ActionEvidence:
		return c.receiveEvidence
	default:
		return nil
	}
}

// digestOf names a request: all of it but its key. It returns the error of reading a
// body that is not in memory.
func digestOf(call Call) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, s := range []string{string(call.Action), call.Transfer, call.Device} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s) // a hash never fails to write
	}
	body, size := call.text()
	_, _ = fmt.Fprintf(h, "%d:", size)
	_, err = io.Copy(h, body)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// transferWith returns a transfer between us and the partner. One with another
// partner is unknown to it.
func (c *Coordinator) transferWith(ctx context.Context, from Partner, id string) (Transfer, error) {
	t, err := c.o.Store.Transfer(ctx, id)
	if err == nil && t.Partner != from.ID {
		err = fmt.Errorf("transfer %.64q: %w", id, ErrUnknown)
	}
	return t, err
}

// deviceWith returns the row that a call is about. A device that is not in the
// transfer is unknown; body is the transfer's id in the body, which must agree.
func (c *Coordinator) deviceWith(ctx context.Context, from Partner, call Call, body []byte) (Transfer, Row, error) {
	t, err := c.transferWith(ctx, from, call.Transfer)
	if err != nil {
		return Transfer{}, Row{}, err
	}
	if !bytes.Equal(body, t.Key()) {
		return Transfer{}, Row{}, refusedf(ErrInvalid, "body of another transfer")
	}
	r, err := c.o.Store.Row(ctx, t.ID, call.Device)
	if err == nil && r.State == transfer.RowRejected {
		err = refusedf(ErrState, "device was rejected")
	}
	return t, r, err
}

// StatusFor tells a partner how far a transfer with it is, or ErrUnknown.
func (c *Coordinator) StatusFor(ctx context.Context, from Partner, id string) (Status, error) {
	t, err := c.transferWith(ctx, from, id)
	if err != nil {
		return Status{}, err
	}
	s := Status{Transfer: t.ID, State: string(t.State), Devices: []DeviceStatus{}}
	err = c.eachRow(ctx, id, func(r Row) error {
		s.Devices = append(s.Devices, DeviceStatus{Device: r.Short, State: string(r.State), Verdict: r.Verdict})
		return nil
	})
	return s, err
}

// decodeJSON reads exactly one JSON value without unknown members.
func decodeJSON(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refusedf(ErrInvalid, "more than one JSON value")
	}
	return nil
}
