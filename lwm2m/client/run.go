package client

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"steward/lwm2m/coap"
)

// maxTransmitWait is how long a confirmable message may take (RFC 7252 §4.8.2):
// an Update begins at least that much before the registration expires.
const maxTransmitWait = 93 * time.Second

// Run sends notifications and refreshes registrations until ctx ends, and
// returns nil when the last of them is done.
func (c *Client) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-timer.C:
		}
		c.reconfigure(ctx)
		c.sample(ctx)
		next := c.start(ctx, time.Now(), &work)
		if next.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(time.Until(next))
	}
}

// sample looks at the observations whose values may have changed.
func (c *Client) sample(ctx context.Context) {
	type look struct {
		o *observation
		s Session
	}
	var looks []look
	now := time.Now()
	c.mu.Lock()
	for _, o := range c.observations {
		if acc := c.accounts[o.key.peer]; acc != nil && o.evaluable(acc, now) {
			o.dirty, o.evaluated = false, now
			looks = append(looks, look{o, acc.session})
		}
	}
	c.mu.Unlock()
	for _, l := range looks {
		entries, err := c.entries(ctx, l.s, l.o.view)
		c.mu.Lock()
		if acc := c.accounts[l.o.key.peer]; acc != nil {
			l.o.sample(acc, valuesOf(entries))
		}
		// A node that is gone ends its observation, whatever was there before.
		l.o.due = l.o.due || err != nil
		c.mu.Unlock()
	}
}

// start starts all that is due at now and returns when to look again; zero:
// when told.
func (c *Client) start(ctx context.Context, now time.Time, work *sync.WaitGroup) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next time.Time
	for _, o := range c.observations {
		acc := c.accounts[o.key.peer]
		if acc == nil {
			continue
		}
		next = earliest(next, o.evaluation(acc))
		at := o.next(acc)
		if at.IsZero() || at.After(now) {
			next = earliest(next, at)
			continue
		}
		if acc.away {
			o.store(acc, o.sampled, now)
			o.due, o.since = false, now
			next = earliest(next, o.next(acc))
			continue
		}
		o.busy, o.due, o.since = true, false, now
		session, confirmable := acc.session, c.confirmable(o, acc)
		work.Go(func() { c.sendNotification(ctx, session, o, confirmable) })
	}
	for p, acc := range c.accounts {
		at := acc.next()
		if at.IsZero() || at.After(now) {
			next = earliest(next, at)
			continue
		}
		acc.busy = true
		work.Go(func() { c.keep(ctx, p, acc) })
	}
	return next
}

func (c *Client) sendNotification(ctx context.Context, s Session, o *observation, confirmable bool) {
	err := c.notify(ctx, s, o, confirmable)
	if err != nil && ctx.Err() == nil {
		c.o.Log.LogAttrs(ctx, slog.LevelInfo, "notification not delivered",
			slog.String("endpoint", string(c.o.Endpoint)),
			slog.String("peer", o.key.peer.String()), slog.Any("reason", err))
	}
	c.signal()
}

// keep refreshes the registration at p.
func (c *Client) keep(ctx context.Context, p coap.Peer, acc *account) {
	err := c.refresh(ctx, p, acc)
	c.mu.Lock()
	acc.busy = false
	gone := c.accounts[p] != acc
	if err != nil {
		acc.retryAt = time.Now().Add(min(c.o.Retry<<min(acc.failures, 16), maxRetry))
		acc.failures++
	}
	c.mu.Unlock()
	c.signal()
	if err == nil || gone || ctx.Err() != nil {
		return
	}
	if c.o.Failed != nil {
		c.o.Failed(p, err)
		return
	}
	c.o.Log.LogAttrs(ctx, slog.LevelWarn, "registration not refreshed",
		slog.String("endpoint", string(c.o.Endpoint)), slog.String("peer", p.String()), slog.Any("reason", err))
}

// next returns when the registration is to be refreshed; zero: there is none,
// or it is being done. The caller holds Client.mu.
func (a *account) next() time.Time {
	switch {
	case a.busy || a.since.IsZero():
		return time.Time{}
	case !a.retryAt.IsZero():
		return a.retryAt
	}
	lifetime := time.Duration(a.lifetime) * time.Second
	at := a.since.Add(lifetime - min(lifetime/2, maxTransmitWait))
	if !a.wanted.IsZero() && a.wanted.Before(at) {
		at = a.wanted
	}
	return at
}

// earliest returns the earlier of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
