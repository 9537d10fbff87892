package enrol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
	"steward/objects"
)

// serve takes a device as far as it goes without waiting.
func (r *Runner) serve(ctx context.Context, device fleet.ID) {
	defer r.leave(device)
	for range maxAttempts {
		e, err := r.o.Store.Enrolment(ctx, device)
		if err == nil {
			err = r.advance(ctx, e)
		}
		switch {
		case errors.Is(err, errMore), errors.Is(err, ErrConflict):
		case errors.Is(err, ErrUnknown):
			r.postpone(device, time.Time{}, false)
			return
		case err != nil:
			r.logged(ctx, "renewal of "+string(device), err)
			r.postpone(device, time.Now().Add(broken), true)
			return
		default:
			return
		}
	}
	r.postpone(device, time.Now().Add(shortest), true)
}

// errMore reports that a step was made and another may follow at once.
var errMore = errors.New("more to do")

// advance makes one step.
func (r *Runner) advance(ctx context.Context, e Enrolment) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := r.decide(ctx, &e, time.Now())
	if err != nil || m.on == "" {
		return err
	}
	before := e.Want
	e, err = r.store(ctx, e, m)
	if err == nil && m.on == Prove && before == Rekey { // a renewal came between, and ended what was asked for
		e, err = r.store(ctx, e, move{on: Order, want: Rekey, why: "was asked for before the renewal"})
	}
	if err == nil && !e.Due.IsZero() && !e.Due.After(time.Now()) && m.on != Wait {
		return errMore
	}
	return err
}

// store writes a move with its audit row in one transaction.
func (r *Runner) store(ctx context.Context, e Enrolment, m move) (Enrolment, error) {
	next, row, err := r.rules.apply(e, m, time.Now())
	if errors.Is(err, machine.ErrNoRow) {
		return e, fmt.Errorf("%w: %s", ErrState, e.State)
	}
	if err != nil {
		return e, err
	}
	ch := Change{Enrolments: []Enrolment{next}}
	ch.Audit = append(ch.Audit, row)
	if err := r.o.Store.Commit(context.WithoutCancel(ctx), ch); err != nil {
		return e, err
	}
	next.Version++
	if m.on != Wait { // when to look again was said by ask
		r.done(&next, m.on)
	}
	r.o.Log.LogAttrs(ctx, slog.LevelInfo, "enrolment", slog.String("device", string(e.Device)),
		slog.String("event", string(m.on)), slog.String("before", string(e.State)),
		slog.String("after", string(next.State)), slog.String("reason", m.why))
	return next, nil
}

// decide says what is to be done with a device now; an empty move is nothing.
func (r *Runner) decide(ctx context.Context, e *Enrolment, now time.Time) (move, error) {
	if m, err := r.standing(ctx, e, now); err != nil || m.on != "" {
		return m, err
	}
	if e.Due.IsZero() || e.Due.After(now) { // looked at because the device woke
		r.keep(e)
		return move{}, nil
	}
	switch e.State {
	case Due:
		return r.ask(ctx, e, now)
	case Good:
		return move{on: Time, why: "its certificate ends at " + date(e.NotAfter)}, nil
	case Asked:
		return r.fruitless(ctx, e), nil
	case Renewed:
		return move{on: Doubt, why: "the device does not use the certificate that it was given"}, nil
	case Failed:
		return move{on: Again, why: "tried again after a pause; its certificate ends at " + date(e.NotAfter)}, nil
	default:
		return move{}, nil
	}
}

// standing says what has happened to the device and its certificate meanwhile.
func (r *Runner) standing(ctx context.Context, e *Enrolment, now time.Time) (move, error) {
	if e.State == Left || e.State == None {
		return move{}, nil
	}
	d, err := r.o.Fleet.Device(ctx, e.Device)
	switch {
	case errors.Is(err, fleet.ErrUnknown), err == nil && d.Ownership == fleet.Left:
		return move{on: Leave, why: "the device is another provider's"}, nil
	case err != nil:
		return move{}, err
	}
	if e.State == Expired || e.State == Revoked {
		return move{}, nil
	}
	rec, err := r.o.Inventory.Lookup(ctx, e.Certificate)
	switch {
	case err != nil && !errors.Is(err, est.ErrUnknown):
		return move{}, err
	case rec.Status == est.StatusRevoked:
		return r.revoked(ctx, e, rec, now)
	case !now.Before(e.NotAfter):
		return move{on: Expire, why: fmt.Sprintf("its certificate ended at %s and was not renewed; %s", date(e.NotAfter),
			r.o.Comeback)}, nil
	case !e.Proven && !rec.UsedAt.IsZero():
		return move{on: Prove, why: "the device uses the certificate; it is renewed " +
			date(r.rules.policy(e.Profile).renewAt(e.IssuedAt, e.NotAfter, e.Certificate))}, nil
	}
	return move{}, nil
}

// revoked tells of a certificate that was revoked, unless the device has another
// by now that was not taken over yet.
func (r *Runner) revoked(ctx context.Context, e *Enrolment, rec est.Record, now time.Time) (move, error) {
	if err := r.feed(ctx); err != nil {
		return move{}, err
	}
	fresh, err := r.o.Store.Enrolment(ctx, e.Device)
	if err != nil {
		return move{}, err
	}
	if fresh.Version != e.Version {
		return move{}, errMore
	}
	why := fmt.Sprintf("its certificate was revoked: %s: %s", rec.Reason, rec.Why)
	if e.Proven || rec.Supersedes == (est.Hash{}) {
		return move{on: Revoke, why: why}, nil
	}
	before, err := r.o.Inventory.Lookup(ctx, rec.Supersedes)
	if err == nil {
		err = before.Live(now)
	}
	switch {
	case errors.Is(err, est.ErrUnknown), errors.Is(err, est.ErrRevoked), errors.Is(err, est.ErrExpired):
		return move{on: Revoke, why: why}, nil
	case err != nil:
		return move{}, err
	}
	return move{on: Withdraw, why: why + "; the one before is good", issue: &Issuance{
		Certificate: before.Hash, Profile: before.Profile, IssuedAt: before.IssuedAt, NotAfter: before.NotAfter,
	}}, nil
}

// instance is that of object Enrolment.
func (r *Runner) instance() lwm2m.Path { return lwm2m.NewPath(r.o.Object, 0) }

// ask asks a device that listens.
func (r *Runner) ask(ctx context.Context, e *Enrolment, now time.Time) (move, error) {
	if r.o.Object == 0 {
		return r.wait(e, now, time.Time{}, "no id was chosen for object Enrolment: the device has to renew by itself"), nil
	}
	listens, wakes := r.o.Devices.Listens(e.Device)
	if !listens {
		return r.wait(e, now, wakes, asleepWords), nil
	}
	has, err := r.o.Devices.Instances(ctx, e.Device, r.o.Object)
	if err == nil && len(has) == 0 {
		return r.wait(e, now, time.Time{}, "the device has no object Enrolment: it has to renew by itself"), nil
	}
	if at, ok := r.turn(e.Device, now); !ok {
		r.postpone(e.Device, at, false)
		return move{}, nil
	}
	args := strconv.Itoa(objects.EnrolOperational)
	if e.Want == Rekey {
		args = strconv.Itoa(objects.EnrolFactory)
		if told, err := r.told(ctx, e.Device); err == nil && told.PermanentURI == "" {
			return move{on: Abandon, why: "the device knows no permanent CA that could re-key its factory certificate"}, nil
		}
	}
	err = r.o.Devices.Execute(ctx, e.Device, r.instance().Child(objects.EnrolmentEnrol), args)
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return move{}, ctx.Err()
	case err == nil:
		return move{on: Ask, why: "the device was asked to " + e.Want.words() + " and agreed"}, nil
	case errors.Is(err, ErrAsleep):
		return r.wait(e, now, time.Time{}, asleepWords), nil
	case errors.Is(err, ErrRefused):
		return r.failure(e, fmt.Sprintf("the device refuses to %s: %v", e.Want.words(), err)), nil
	default:
		return r.failure(e, fmt.Sprintf("the device could not be asked to %s: %v", e.Want.words(), err)), nil
	}
}

func (w Request) words() string {
	if w == Rekey {
		return "re-key its factory certificate"
	}
	return "renew its certificate"
}

const asleepWords = "waits for the device, which is asleep or not registered"

// wait waits for the device's next message. Why is stored once.
func (r *Runner) wait(e *Enrolment, now, wakes time.Time, why string) move {
	at := now.Add(asleepLook)
	if wakes.After(now) && wakes.Before(at) {
		at = wakes
	}
	if end := e.NotAfter.Add(time.Second); at.After(end) {
		at = end
	}
	r.postpone(e.Device, at, true)
	if e.Why == why {
		return move{}
	}
	return move{on: Wait, why: why}
}

// fruitless says what became of a device that agreed and has no new certificate.
func (r *Runner) fruitless(ctx context.Context, e *Enrolment) move {
	told, err := r.told(ctx, e.Device)
	switch {
	case err != nil:
		return r.failure(e, fmt.Sprintf("the device agreed to %s, but did not; it cannot be asked why: %v",
			e.Want.words(), err))
	case e.Want == Rekey && told.State != objects.EnrolmentAsks && told.State != objects.EnrolmentProving &&
		told.KeyOrigin != nil && *told.KeyOrigin == objects.KeyOriginDevice:
		return move{on: Rekeyed, why: "the key of its factory certificate is its own"}
	case told.Error != 0:
		return r.failure(e, fmt.Sprintf("the device agreed to %s, but says: %s", e.Want.words(),
			objects.EnrolmentFault(told.Error)))
	}
	return r.failure(e, fmt.Sprintf("the device agreed to %s, but did not", e.Want.words()))
}

// told reads object Enrolment of a device.
func (r *Runner) told(ctx context.Context, device fleet.ID) (objects.Enrolment, error) {
	entries, err := r.o.Devices.Read(ctx, device, r.instance())
	if err != nil {
		return objects.Enrolment{}, err
	}
	return objects.DecodeEnrolment(r.instance(), entries)
}

// failure is a failed try, or the last one for now.
func (r *Runner) failure(e *Enrolment, why string) move {
	switch {
	case e.Tries+1 < r.rules.pacing.tries:
		return move{on: Fail, why: why}
	case e.Want == Rekey:
		return move{on: Abandon, why: why}
	default:
		return move{on: GiveUp, why: fmt.Sprintf("%s; %d tries; the certificate is good until %s", why, e.Tries+1,
			date(e.NotAfter))}
	}
}
