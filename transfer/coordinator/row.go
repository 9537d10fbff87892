package coordinator

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
	"steward/transfer"
)

// A step is what is done with a row at one time. The functions that take one do
// something with the device, the CA or the partner, and say in it what is to be
// stored.
type step struct {
	t        Transfer
	partner  Partner
	row      Row // as it will be stored
	woken    bool
	events   []transfer.RowEvent // learnt, in order
	receipts []Receipt
	inferred bool      // events are the partner's word
	again    bool      // there is more to do at once, although the effect is not done
	due      time.Time // without events: when to look again
}

func (s *step) fire(on ...transfer.RowEvent) { s.events = append(s.events, on...) }

// apply moves r by an event of its table.
func (r *Row) apply(on transfer.RowEvent, now time.Time) error {
	to, err := transfer.Progress{State: r.State, Pending: r.Pending}.Step(tableOf(r.Incoming), r.Incoming, on)
	if err != nil {
		return fmt.Errorf("device %s: %w", r.Short, err)
	}
	r.State, r.Pending, r.Tries, r.Due, r.Inferred = to.State, to.Pending, 0, now, false
	return nil
}

// applyAll moves r by several events.
func (r *Row) applyAll(now time.Time, on ...transfer.RowEvent) error {
	for _, e := range on {
		if err := r.apply(e, now); err != nil {
			return err
		}
	}
	return nil
}

// accepts reports whether the row's state has a way for the event.
func (r Row) accepts(on transfer.RowEvent) bool {
	_, err := tableOf(r.Incoming).Step(r.State, on)
	return err == nil
}

// factoryHash returns the device's factory hash as messages and CAs write it.
func (r Row) factoryHash() est.Hash { return est.Hash(r.Factory) }

// pair returns what the info says of the device.
func (r Row) pair() (transfer.DevicePair, error) {
	pairs, err := transfer.ParseDevices(r.Pair)
	if err != nil {
		return transfer.DevicePair{}, err
	}
	return pairs[0], nil
}

// certificate returns the factory certificate.
func (r Row) certificate() (*x509.Certificate, error) {
	pair, err := r.pair()
	if err != nil {
		return nil, err
	}
	c, err := pair.Factory.X509()
	if err != nil {
		return nil, fmt.Errorf("factory certificate of %s: %w", r.Short, err)
	}
	return c, nil
}

// order names the message for an Execute.
func (r Row) order() string { return transfer.OrderOf(r.Epoch, r.Hash).String() }

// audited returns the audit row for what r became, or none if its state stayed.
func audited(before, after Row, actor string) []audit.Row {
	if before.State == after.State {
		return nil
	}
	subject := string(after.Device)
	if subject == "" {
		subject = after.Short
	}
	reason := "transfer " + after.Transfer
	if after.Reason != "" {
		reason += ": " + after.Reason
	}
	return []audit.Row{{
		Actor: actor, Action: "transfer.device", Subject: subject, Reason: reason,
		Before: string(before.State), After: string(after.State),
	}}
}

// stepRow does the next thing for a row. It returns true if there is more.
func (c *Coordinator) stepRow(ctx context.Context, t Transfer, r Row, woken bool) bool {
	s := &step{t: t, row: r, woken: woken}
	defer c.slots.release(t.ID, r.Short)
	var err error
	if s.partner, err = c.o.Store.Partner(ctx, t.Partner); err == nil {
		err = c.attempt(ctx, s)
	}
	if ctx.Err() != nil {
		return false
	}
	return c.conclude(ctx, s, r, err)
}

// attempt performs the first pending effect, or what the state asks for.
func (c *Coordinator) attempt(ctx context.Context, s *step) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	if !s.partner.Admitted() && !s.row.Committed() && !s.row.Ended() {
		return fmt.Errorf("partner %s is %s", s.partner.Name, s.partner.State)
	}
	if c.onTheWayBack(ctx, s) {
		return nil
	}
	if len(s.row.Pending) == 0 {
		return c.advance(ctx, s)
	}
	perform := outgoingEffects[s.row.Pending[0]]
	if s.row.Incoming {
		perform = incomingEffects[s.row.Pending[0]]
	}
	if perform == nil {
		return fmt.Errorf("effect %q: %w", s.row.Pending[0], transfer.ErrNotImplemented)
	}
	if err := perform(c, ctx, s); err != nil {
		return err
	}
	if !s.again {
		s.row.Pending = s.row.Pending[1:]
		s.row.Tries, s.row.Due = 0, time.Now()
		s.again = true
	}
	return nil
}

// conclude stores what a step did. It returns true if there is more to do.
func (c *Coordinator) conclude(ctx context.Context, s *step, before Row, failed error) bool {
	now := time.Now()
	if failed == nil {
		failed = s.row.applyAll(now, s.events...)
	}
	s.row.Inferred = s.row.Inferred || s.inferred && failed == nil
	more := failed == nil && (len(s.events) > 0 || s.again)
	switch {
	case failed != nil:
		more = c.later(&s.row, before, failed, now)
		s.receipts = nil
	case !more && s.due.Equal(s.row.Due):
		return false
	case !more:
		s.row.Due = s.due
	}
	err := c.commit(ctx, Change{
		Rows: []Row{s.row}, Receipts: s.receipts, Audit: audited(before, s.row, "system"),
	})
	return c.proceed(ctx, err, rowKey(before.Transfer, before.Short), more)
}

// later postpones a row after a failure. A device that refuses again and again
// before its commit is left behind: then later returns true.
func (c *Coordinator) later(r *Row, before Row, failed error, now time.Time) bool {
	tries := before.Tries + 1
	*r = before
	r.Tries, r.Reason, r.Due = tries, failed.Error(), now.Add(c.backoff(tries))
	if !isRefusal(failed) || tries < c.o.MaxTries || !r.accepts(transfer.RowAbort) {
		return false
	}
	return r.apply(transfer.RowAbort, now) == nil
}

// backoff is the interval before repetition n, counted from 1.
func (c *Coordinator) backoff(n int) time.Duration {
	d := c.o.Poll
	for i := 1; i < n && d < c.o.MaxPoll; i++ {
		d *= 2
	}
	return min(d, c.o.MaxPoll)
}
