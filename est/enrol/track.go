package enrol

import (
	"context"
	"time"

	"steward/lwm2m/fleet"
)

// A track is a device whose time comes soon. Runner.mu guards it.
type track struct {
	at       time.Time // when to look at it
	queued   bool      // the heap has that time
	looked   time.Time // when that was last begun
	busy     bool      // a worker has it
	waits    bool      // for the device's next message
	poked    bool      // that came
	reserved time.Time // its turn to be asked; zero: none yet
}

// load reads the enrolments whose time comes up to a moment.
func (r *Runner) load(ctx context.Context, now, until time.Time) error {
	var last Enrolment
	for {
		rows, err := r.o.Store.Due(ctx, until, last, page)
		if err != nil {
			return err
		}
		r.mu.Lock()
		for i := range rows {
			if r.tracks[rows[i].Device] == nil {
				r.tracks[rows[i].Device] = &track{waits: rows[i].waits(now)}
				r.schedule(rows[i].Device, rows[i].Due)
			}
		}
		if len(rows) < page {
			r.until = until
			r.mu.Unlock()
			return nil
		}
		r.mu.Unlock()
		last = rows[len(rows)-1]
	}
}

// waits reports whether a message of the device is a reason to look at it: it is to
// be asked and no pause is on, or its new certificate has not been used.
func (e *Enrolment) waits(now time.Time) bool {
	return e.State == Due && !e.Due.After(now) || e.State == Renewed
}

// schedule sets when to look at a device in memory. The caller holds mu.
func (r *Runner) schedule(device fleet.ID, at time.Time) {
	t := r.tracks[device]
	if t.queued && t.at.Equal(at) {
		return
	}
	t.at, t.queued = at, !t.busy // else leave sees to it
	if t.queued {
		r.due.Add(device, at)
	}
}

// keep has a device in memory if its time comes soon, else not.
func (r *Runner) keep(e *Enrolment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tracks[e.Device]
	waits := e.waits(time.Now())
	if e.Due.IsZero() || e.Due.After(r.until) && !waits {
		if t == nil || !t.busy {
			delete(r.tracks, e.Device)
			return
		}
		t.at, t.queued, t.waits = time.Time{}, false, false // leave forgets it
		return
	}
	if t == nil {
		t = &track{}
		r.tracks[e.Device] = t
	}
	t.waits = waits
	if e.State != Due {
		t.reserved = time.Time{}
	}
	r.schedule(e.Device, e.Due)
}

// take returns a device that is due, marked as in hand, or when the next is.
func (r *Runner) take(now time.Time) (device fleet.ID, next time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		first, at, some := r.due.First()
		if !some {
			return "", time.Time{}, false
		}
		t := r.tracks[first]
		if t == nil || t.busy || !t.at.Equal(at) { // out of date
			r.due.Drop()
			continue
		}
		if at.After(now) {
			return "", at, false
		}
		r.due.Drop()
		t.busy, t.poked, t.queued, t.looked = true, false, false, now
		return first, time.Time{}, true
	}
}

// leave gives a device back, to be looked at when its time comes.
func (r *Runner) leave(device fleet.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tracks[device]
	if t == nil {
		return
	}
	t.busy = false
	switch {
	case t.poked && t.waits && (t.at.IsZero() || t.looked.Add(shortest).Before(t.at)):
		r.schedule(device, t.looked.Add(shortest))
	case t.at.IsZero():
		delete(r.tracks, device)
	default:
		r.schedule(device, t.at)
	}
}

// postpone looks at a device later, or at its next message, without storing that;
// a restart looks at it at once.
func (r *Runner) postpone(device fleet.ID, at time.Time, waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tracks[device]; t != nil {
		t.waits = waits
		r.schedule(device, at)
	}
}

// turn reports whether it is a device's turn to be asked; if not, when it is.
func (r *Runner) turn(device fleet.ID, now time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tracks[device]
	if t == nil {
		return time.Time{}, true
	}
	if t.reserved.IsZero() {
		t.reserved = r.pace.reserve(now)
	}
	if t.reserved.After(now) {
		return t.reserved, false
	}
	t.reserved = time.Time{}
	return time.Time{}, true
}

// A pace gives out turns at equal intervals.
type pace struct {
	gap  time.Duration
	next time.Time
}

func (p *pace) reserve(now time.Time) time.Time {
	if p.next.Before(now) {
		p.next = now
	}
	at := p.next
	p.next = at.Add(p.gap)
	return at
}
