package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// maxStored is how many notifications of one observation are kept for a server
// that is away, where the attribute hqmax does not say; it bounds that as well.
const maxStored = 64

// A record is a notification that could not be sent.
type record struct {
	at      time.Time
	entries []lwm2m.Entry
}

// stores reports whether notifications are kept for the server at p (/1/x/6).
func (c *Client) stores(p coap.Peer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	acc := c.accounts[p]
	return acc != nil && acc.settings.Storing
}

// missed stores what nobody has acknowledged: the server is away until it answers
// an Update, which Run sends now. The caller holds mu.
func (c *Client) missed(o *observation, values map[lwm2m.Path]lwm2m.Value, now time.Time) {
	acc := c.accounts[o.key.peer]
	if acc == nil {
		return
	}
	o.store(acc, values, now)
	if !acc.away {
		acc.away, acc.wanted = true, now
	}
}

// back has all that is stored for a server sent. The caller holds mu.
func (c *Client) back(acc *account) {
	if !acc.away {
		return
	}
	acc.away = false
	for key, o := range c.observations {
		if key.peer == acc.session.Peer && len(o.stored) > 0 {
			shortest, _ := o.periods(acc)
			o.due, o.since = true, time.Now().Add(-shortest)
		}
	}
}

// store keeps values, and drops the oldest above the limit. The caller holds mu.
func (o *observation) store(acc *account, values map[lwm2m.Path]lwm2m.Value, now time.Time) {
	limit := maxStored
	if n, ok := o.attributes(acc).Get(lwm2m.AttributeHqmax); ok {
		limit = min(limit, int(n))
	}
	r := record{at: now, entries: make([]lwm2m.Entry, 0, len(values))}
	for p, v := range values {
		r.entries = append(r.entries, lwm2m.Entry{Path: p, Value: v})
	}
	slices.SortFunc(r.entries, func(a, b lwm2m.Entry) int { return a.Path.Compare(b.Path) })
	o.stored = append(o.stored, r)
	o.stored = o.stored[max(len(o.stored)-limit, 0):]
}

// deliver sends what is stored, the oldest first: with the attribute hqmax, in a
// format that knows times, as one notification; else one by one (§6.4.2).
func (c *Client) deliver(ctx context.Context, s Session, o *observation, confirmable bool) error {
	c.mu.Lock()
	batches := o.stored
	o.stored = nil
	acc := c.accounts[s.Peer]
	history := false
	if acc != nil {
		_, history = o.attributes(acc).Get(lwm2m.AttributeHqmax)
	}
	c.mu.Unlock()
	v := o.view
	if history && len(batches) > 0 && timed(&v) {
		batches = []record{together(batches)}
	}
	for i, r := range batches {
		err := c.deliverOne(ctx, s, o, v, r, confirmable)
		if err == nil {
			continue
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		o.busy = false
		if c.observations[o.key] == o && !errors.Is(err, coap.ErrTimeout) {
			delete(c.observations, o.key)
			return err
		}
		o.stored = append(slices.Clone(batches[i:]), o.stored...)
		if acc := c.accounts[s.Peer]; acc != nil && !acc.away {
			acc.away, acc.wanted = true, time.Now()
		}
		return err
	}
	return nil
}

func (c *Client) deliverOne(
	ctx context.Context, s Session, o *observation, v view, r record, confirmable bool,
) error {
	format, body, err := c.encode(v, r.entries)
	if err != nil {
		return fmt.Errorf("stored notification: %w", err)
	}
	return c.o.Engine.Notify(ctx, s.Peer, []byte(o.key.token), &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(format), Payload: body, Observe: true, Keep: true,
	}, confirmable)
}

// timed makes the format of v one that knows times, and reports whether it could.
func timed(v *view) bool {
	id, chosen := v.format.ID()
	if !chosen {
		v.format = coap.FormatID(codec.SenMLCBOR)
		return true
	}
	return id == codec.SenMLCBOR || id == codec.SenMLJSON
}

// together makes one record of many, whose values have their times.
func together(all []record) (out record) {
	for _, r := range all {
		for _, e := range r.entries {
			e.Time = r.at
			out.entries = append(out.entries, e)
		}
		out.at = r.at
	}
	return out
}

// evaluation returns when the observation is to be looked at again by epmin and
// epmax (§7.3.2), zero: when something changes. The caller holds mu.
func (o *observation) evaluation(acc *account) time.Time {
	if len(o.query) == 0 && len(acc.attributes) == 0 {
		return time.Time{}
	}
	attributes := o.attributes(acc)
	if n, ok := attributes.Get(lwm2m.AttributeEpmin); ok && o.dirty {
		return o.evaluated.Add(time.Duration(n) * time.Second)
	}
	if n, ok := attributes.Get(lwm2m.AttributeEpmax); ok && n > 0 {
		return o.evaluated.Add(time.Duration(n) * time.Second)
	}
	return time.Time{}
}

// evaluable reports whether to look at the observation now. The caller holds mu.
func (o *observation) evaluable(acc *account, now time.Time) bool {
	at := o.evaluation(acc)
	if at.IsZero() {
		return o.dirty
	}
	return !at.After(now) || o.dirty && !o.waits(acc)
}

// waits reports whether changes wait for epmin. The caller holds mu.
func (o *observation) waits(acc *account) bool {
	_, ok := o.attributes(acc).Get(lwm2m.AttributeEpmin)
	return ok
}
