package enrol

import (
	"fmt"
	"time"

	"steward/lwm2m/audit"
)

// A move is an event with what goes along.
type move struct {
	on    Event
	actor string // "": system
	why   string // in words, for the audit and, if it tells of trouble, for the Enrolment
	issue *Issuance
	want  Request // of Order
}

// systemActor stands in audit rows for what the Runner does by itself.
const systemActor = "system"

// apply returns e after the move, with its audit row. It changes nothing else and
// reads no clock. It returns machine.ErrNoRow.
func (r *rules) apply(e Enrolment, m move, now time.Time) (Enrolment, audit.Row, error) {
	row, err := Table.Step(e.State, m.on)
	if err != nil {
		return e, audit.Row{}, fmt.Errorf("enrolment of %s: %w", e.Device, err)
	}
	before := e.State
	e.State, e.ChangedAt = row.To, now
	if i := m.issue; i != nil {
		e.Certificate, e.Profile, e.IssuedAt, e.NotAfter = i.Certificate, i.Profile, i.IssuedAt, i.NotAfter
		e.Proven = false
	}
	e.note(m, now)
	for _, do := range row.Do {
		r.perform(do, &e, now)
	}
	actor := m.actor
	if actor == "" {
		actor = systemActor
	}
	return e, audit.Row{
		Actor: actor, Action: "enrolment." + string(m.on), Subject: string(e.Device), Reason: m.why,
		Before: string(before), After: string(e.State), At: now,
	}, nil
}

// note keeps what people are to know of trouble, and forgets it after success.
func (e *Enrolment) note(m move, now time.Time) {
	switch m.on {
	case Doubt:
		e.Why, e.FailedAt, e.Want = m.why, now, Renewal
	case Fail, GiveUp, Abandon, Expire, Revoke:
		e.Why, e.FailedAt = m.why, now
	case Wait:
		e.Why = m.why
	case Issue, Prove:
		e.Why, e.FailedAt, e.Proven = "", time.Time{}, true
	case Withdraw:
		e.Why, e.FailedAt, e.Proven, e.Want = m.why, now, true, Renewal
	case Rekeyed:
		e.Why, e.FailedAt = "", time.Time{}
	case Ask, Succeed:
		e.Why = ""
	case Time, Again:
		e.Want = Renewal
	case Order:
		e.Want = m.want
	default:
	}
}

// rules are what decides about times.
type rules struct {
	policies map[string]Policy // by profile; "" is for all others; complete
	pacing   pacing
}

func (r *rules) policy(profile string) Policy {
	if p, ok := r.policies[profile]; ok {
		return p
	}
	return r.policies[""]
}

// perform is one effect. Whatever it decides, the Runner looks at the device when
// the certificate ends.
func (r *rules) perform(do Effect, e *Enrolment, now time.Time) {
	left := max(e.NotAfter.Sub(now), 0)
	switch do {
	case Plan:
		e.Tries, e.Want = 0, Renewal
		e.Due = r.policy(e.Profile).renewAt(e.IssuedAt, e.NotAfter, e.Certificate)
	case Now:
		e.Tries, e.Due = 0, now
	case Watch:
		wait := r.pacing.answer
		if e.State == Renewed {
			wait = r.pacing.proof
		}
		e.Due = now.Add(bounded(wait, left, partOfTry))
	case Retry:
		e.Tries++
		e.Due = now.Add(r.pacing.retry(e.Tries, left, e.Certificate))
	case Pause:
		e.Due = now.Add(bounded(r.pacing.pause, left, partOfPause))
	case Rest:
		e.Due = time.Time{}
		return
	}
	if end := e.NotAfter.Add(time.Second); e.Due.After(end) {
		e.Due = end
	}
}
