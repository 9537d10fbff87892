package client

import (
	"context"
	"errors"
	"maps"
	"math"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// notifyRetry is the pause after a notification that could not be sent for
// reasons of our own.
const notifyRetry = time.Second

// An observationKey names an observation (RFC 7641 §3.1).
type observationKey struct {
	peer  coap.Peer
	token string
}

// An observation is one that a server has set up. Its fields are guarded by
// Client.mu; key, view and query never change.
type observation struct {
	key   observationKey
	view  view
	query lwm2m.Attributes // of the request: in force before all others

	dirty   bool // something below the paths may have changed since sampled
	due     bool // a notification is owed, when pmin allows
	busy    bool // a notification is on its way
	since   time.Time
	sent    map[lwm2m.Path]lwm2m.Value // what the server knows
	sampled map[lwm2m.Path]lwm2m.Value // what the last look found

	evaluated time.Time // of the last look
	stored    []record  // not yet sent, the oldest first
}

// observe is Observe and Observe-Composite (§6.4.2). An observation beyond
// maxObservations is not set up: the answer is that of a Read, without Observe.
func (c *Client) observe(ctx context.Context, s Session, r *coap.Request, v view) (*coap.Response, error) {
	query, err := c.observeQuery(r, v)
	if err != nil {
		return nil, err
	}
	key := observationKey{r.Peer, string(r.Token)}
	response, entries, err := c.answer(ctx, s, v)
	if err != nil {
		c.cancel(key)
		return nil, err
	}
	values := valuesOf(entries)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, renewed := c.observations[key]
	if _, ok := c.accounts[r.Peer]; !ok || (!renewed && c.observed(r.Peer) >= maxObservations) {
		return response, nil
	}
	c.observations[key] = &observation{
		key: key, view: v, query: query, since: time.Now(), sent: values, sampled: maps.Clone(values),
		evaluated: time.Now(),
	}
	response.Observe = true
	c.signal()
	return response, nil
}

// observeQuery returns the attributes in the request, which came with 1.2.
func (c *Client) observeQuery(r *coap.Request, v view) (lwm2m.Attributes, error) {
	if len(r.Query) > 0 && c.o.Version != lwm2m.Version12 {
		return nil, ErrBadRequest
	}
	query, err := lwm2m.ParseAttributes(r.Query)
	if err != nil {
		return nil, err
	}
	for _, p := range v.paths {
		if v.composite {
			p = lwm2m.NewPath(0) // thresholds mean nothing for a list: judge as for an object
		}
		if err := query.Applicable(p, lwm2m.KindOf(c.o.Schema, p)); err != nil {
			return nil, err
		}
	}
	return query, query.Check()
}

func (c *Client) cancel(key observationKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.observations, key)
}

// dropObservations ends all observations of p. The caller holds mu.
func (c *Client) dropObservations(p coap.Peer) {
	maps.DeleteFunc(c.observations, func(key observationKey, _ *observation) bool { return key.peer == p })
}

// observed counts the observations of p. The caller holds mu.
func (c *Client) observed(p coap.Peer) int {
	n := 0
	for key := range c.observations {
		if key.peer == p {
			n++
		}
	}
	return n
}

// Changed says that values at or below the paths have changed. Observers are
// notified by Run, as their attributes demand. It never blocks and may be
// called by Objects.
func (c *Client) Changed(paths ...lwm2m.Path) {
	c.mu.Lock()
	for _, o := range c.observations {
		o.dirty = o.dirty || o.view.touches(paths)
	}
	for _, p := range paths {
		c.settingsChanged = c.settingsChanged || p.Len() == 0 || p.Object() == serverObject
	}
	c.mu.Unlock()
	c.signal()
}

func (v view) touches(paths []lwm2m.Path) bool {
	for _, p := range v.paths {
		for _, changed := range paths {
			if p.Contains(changed) || changed.Contains(p) {
				return true
			}
		}
	}
	return false
}

// sample compares what there is now with what the last look found, and notes
// whether the attributes ask for a notification. The caller holds mu.
func (o *observation) sample(acc *account, now map[lwm2m.Path]lwm2m.Value) {
	for p, v := range now {
		before, known := o.sampled[p]
		if !known {
			o.due = true
			continue
		}
		attributes := acc.effective(p).Apply(o.query)
		o.due = o.due || triggers(attributes, before, o.sent[p], v)
	}
	for p := range o.sampled {
		if _, still := now[p]; !still {
			o.due = true
		}
	}
	o.sampled = now
}

// triggers reports whether a value demands a notification (§7.3.2): the change
// itself, unless thresholds or an edge are set; then only what they ask for.
// before is the value at the last look, sent the one that the server has.
func triggers(a lwm2m.Attributes, before, sent, now lwm2m.Value) bool {
	gt, hasGt := a.Get(lwm2m.AttributeGt)
	lt, hasLt := a.Get(lwm2m.AttributeLt)
	st, hasStep := a.Get(lwm2m.AttributeSt)
	edge, hasEdge := a.Get(lwm2m.AttributeEdge)
	x, isNumber := now.Float64()
	if truth, isBool := now.Bool(); hasEdge && isBool {
		return before != now && truth == (edge == 1)
	}
	if !isNumber || (!hasGt && !hasLt && !hasStep) {
		return before != now
	}
	was, _ := before.Float64()
	known, _ := sent.Float64()
	return hasGt && (was > gt) != (x > gt) ||
		hasLt && (was < lt) != (x < lt) ||
		hasStep && st <= math.Abs(x-known) && x != known
}

// attributes returns those in force. The caller holds mu.
func (o *observation) attributes(acc *account) lwm2m.Attributes {
	if o.view.composite {
		return o.query
	}
	return acc.effective(o.view.paths[0]).Apply(o.query)
}

// periods returns pmin and pmax of the observation, pmax zero without one. The
// caller holds mu.
func (o *observation) periods(acc *account) (shortest, longest time.Duration) {
	attributes := o.attributes(acc)
	shortest, longest = acc.settings.MinPeriod, acc.settings.MaxPeriod
	if v, ok := attributes.Get(lwm2m.AttributePmin); ok {
		shortest = time.Duration(v) * time.Second
	}
	if v, ok := attributes.Get(lwm2m.AttributePmax); ok {
		longest = time.Duration(v) * time.Second
	}
	if longest < shortest {
		longest = 0 // ignored, not an error
	}
	return shortest, longest
}

// next returns when a notification is to be sent; zero: not before a change.
// The caller holds mu.
func (o *observation) next(acc *account) time.Time {
	shortest, longest := o.periods(acc)
	switch {
	case o.busy:
		return time.Time{}
	case o.due:
		return o.since.Add(shortest)
	case longest > 0:
		return o.since.Add(longest)
	default:
		return time.Time{}
	}
}

// confirmable reports whether notifications go as CON. The caller holds mu.
func (c *Client) confirmable(o *observation, acc *account) bool {
	if con, ok := o.attributes(acc).Get(lwm2m.AttributeCon); ok {
		return con == 1
	}
	return !c.o.Unconfirmed
}

// notify sends what the observation shows now. An error answer ends it, and so
// does a peer that rejects it or is gone (RFC 7641 §4.2, §4.5).
func (c *Client) notify(ctx context.Context, s Session, o *observation, confirmable bool) error {
	if err := c.deliver(ctx, s, o, confirmable); err != nil {
		return err
	}
	response, entries, err := c.answer(ctx, s, o.view)
	ended := err != nil
	if ended {
		response = failure(err)
	}
	values := valuesOf(entries)
	c.mu.Lock()
	o.sampled = maps.Clone(values)
	c.mu.Unlock()
	response.Observe, response.Keep = true, c.stores(s.Peer)
	err = c.o.Engine.Notify(ctx, o.key.peer, []byte(o.key.token), response, confirmable)
	c.mu.Lock()
	defer c.mu.Unlock()
	o.busy = false
	switch {
	case !ended && response.Keep && errors.Is(err, coap.ErrTimeout):
		c.missed(o, values, o.since)
	case ended || errors.Is(err, coap.ErrReset) || errors.Is(err, coap.ErrTimeout) || errors.Is(err, coap.ErrClosed):
		if c.observations[o.key] == o {
			delete(c.observations, o.key)
		}
	case err != nil: // the engine is busy: the server still waits for this
		o.due, o.since = true, time.Now().Add(notifyRetry)
	default:
		o.sent = values
	}
	return err
}

func valuesOf(entries []lwm2m.Entry) map[lwm2m.Path]lwm2m.Value {
	out := make(map[lwm2m.Path]lwm2m.Value, len(entries))
	for _, e := range entries {
		out[e.Path] = e.Value
	}
	return out
}
