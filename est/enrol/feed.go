package enrol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
)

// maxAttempts bounds how often a change starts again because somebody else changed
// the row meanwhile.
const maxAttempts = 8

// feed takes over what was issued since the last time, whoever asked for it, and
// also what a process before had no time for.
func (r *Runner) feed(ctx context.Context) error {
	r.feeds.Lock()
	defer r.feeds.Unlock()
	for attempt := 0; ; {
		issued, err := r.o.Store.Issued(ctx, page)
		if err != nil || len(issued) == 0 {
			return err
		}
		err = r.takeOver(ctx, issued)
		switch {
		case errors.Is(err, ErrConflict) && attempt < maxAttempts:
			attempt++
		case err != nil:
			return err
		default:
			attempt = 0
		}
	}
}

// takeOver stores what some issuances mean. Of several for one device the last
// counts.
func (r *Runner) takeOver(ctx context.Context, issued []Issuance) error {
	now := time.Now()
	last := map[fleet.ID]*Issuance{}
	for i := range issued {
		last[issued[i].Device] = &issued[i]
	}
	delete(last, "")
	ch := Change{Position: issued[len(issued)-1].Position}
	var moves []Event
	for device, i := range last {
		e, err := r.o.Store.Enrolment(ctx, device)
		if errors.Is(err, ErrUnknown) {
			e, err = Enrolment{Device: device, State: None}, nil
		}
		if err != nil {
			return err
		}
		m := move{on: Issue, issue: i, why: "enrolled by the factory certificate; good until " + date(i.NotAfter)}
		if i.Renews && e.State != None {
			m.on = Succeed
			m.why = fmt.Sprintf("renewed; good until %s; the certificate before stays good until this one is used",
				date(i.NotAfter))
		}
		e, row, err := r.rules.apply(e, m, now)
		if err != nil {
			return err
		}
		ch.Enrolments, ch.Audit, moves = append(ch.Enrolments, e), append(ch.Audit, row), append(moves, m.on)
	}
	if err := r.o.Store.Commit(ctx, ch); err != nil {
		return err
	}
	for i, e := range ch.Enrolments {
		e.Version++
		r.done(&e, moves[i])
		if !e.Proven { // perhaps it was used before this was known
			r.postpone(e.Device, now, true)
		}
	}
	return nil
}

// done takes over a change that was stored.
func (r *Runner) done(e *Enrolment, on Event) {
	r.keep(e)
	r.mu.Lock()
	r.counted[on]++
	r.mu.Unlock()
	r.o.Changed(*e)
	r.nudge()
}

// date shows a moment to people.
func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Enrolment returns how a device stands, or ErrUnknown.
func (r *Runner) Enrolment(ctx context.Context, device fleet.ID) (Enrolment, error) {
	return r.o.Store.Enrolment(ctx, device)
}

// Counts returns how many enrolments are in each state other than Good.
func (r *Runner) Counts(ctx context.Context) (map[State]int, error) { return r.o.Store.Counts(ctx) }

// Order has a device asked as soon as it listens, whatever the time: for a renewal,
// which makes a new key, or a re-key of its factory certificate. It returns
// ErrUnknown, ErrState or ErrConflict.
func (r *Runner) Order(ctx context.Context, device fleet.ID, want Request, actor, why string) (Enrolment, error) {
	if want != Renewal && want != Rekey {
		return Enrolment{}, fmt.Errorf("%w: request %.40q", ErrOptions, want)
	}
	if r.o.Object == 0 {
		return Enrolment{}, fmt.Errorf("%w: no id was chosen for object Enrolment, by which devices are asked", ErrState)
	}
	order := move{on: Order, actor: actor, why: why, want: want}
	for range maxAttempts - 1 {
		e, err := r.tryOrder(ctx, device, order)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, errMore) {
			return e, err
		}
	}
	return r.tryOrder(ctx, device, order)
}

// Arrived tells that a device has come from another provider for good, and who made the
// key of its factory certificate. It is asked to re-key if the options say so: whoever
// made the key may have kept it (transfer protocol §6).
func (r *Runner) Arrived(ctx context.Context, device fleet.ID, o est.KeyOrigin) error {
	if !r.o.RekeyArrived || r.o.Object == 0 || o == est.OriginDevice {
		return nil
	}
	if err := r.feed(ctx); err != nil { // its certificate may have been issued a moment ago
		return err
	}
	by := "an unknown maker"
	if o != est.OriginUnknown {
		by = "the " + string(o)
	}
	why := "it came from another provider, and the key of its factory certificate was made by " + by
	_, err := r.Order(ctx, device, Rekey, "", why)
	return err
}

// Rekeyed tells that a device has a factory certificate for a key of its own, and that
// the authority goes by that now. It ends a request for it, and is nothing for a device
// that was not asked.
func (r *Runner) Rekeyed(ctx context.Context, device fleet.ID) error {
	for range maxAttempts {
		e, err := r.o.Store.Enrolment(ctx, device)
		if errors.Is(err, ErrUnknown) || err == nil && (e.Want != Rekey || e.State != Due && e.State != Asked) {
			return nil
		}
		if err == nil {
			_, err = r.store(ctx, e, move{on: Rekeyed, why: "its new factory certificate has taken the place of the one before"})
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return ErrConflict
}

// tryOrder makes the step that comes first: that which the device's standing asks
// for, and then errMore, or the order.
func (r *Runner) tryOrder(ctx context.Context, device fleet.ID, order move) (Enrolment, error) {
	e, err := r.o.Store.Enrolment(ctx, device)
	if err != nil {
		return Enrolment{}, err
	}
	m, err := r.standing(ctx, &e, time.Now())
	if err != nil {
		return Enrolment{}, err
	}
	if m.on == "" {
		return r.store(ctx, e, order)
	}
	if e, err = r.store(ctx, e, m); err != nil {
		return e, err
	}
	return e, fmt.Errorf("%w: the device %s", errMore, m.on)
}
