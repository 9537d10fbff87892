package rollout

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m/fleet"
)

// An openJob is a job that a campaign has in hand.
type openJob struct {
	job   Job
	at    time.Time // when to look at it; the entry of the queue that counts
	busy  bool      // a worker has it
	poked bool      // the device said something since the worker took it
	place bool      // it has been promised a place for its download
	crowd bool      // it waits for such a place
	slow  bool      // the worker that has it took it for a silent device
}

// quiet reports whether the device did not answer when it was last asked, and has
// not been heard since.
func (e *openJob) quiet() bool { return !e.job.Silent.IsZero() && !e.poked }

// unheard reports whether the job is begun, and the device has not answered yet:
// it takes no place from others.
func (e *openJob) unheard() bool {
	return e.job.State == Queued && e.job.Aside == "" && !e.job.Silent.IsZero()
}

// loads reports whether the job takes a place for downloads.
func (e *openJob) loads() bool {
	return e.place || e.job.Aside == "" && (e.job.State == Delivering || e.job.State == Downloading)
}

// waits reports whether a word of the device changes nothing: the job waits for
// time to pass.
func (j *Job) waits() bool { return j.State == Waiting }

// take gives a due job to a worker, or says when the next one is due.
func (r *Runner) take(now time.Time) (j Job, next time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		first, at, some := r.due.First()
		if !some {
			return Job{}, time.Time{}, false
		}
		e := r.open[first]
		if e == nil || e.busy || !e.at.Equal(at) {
			r.due.Drop()
			continue
		}
		if at.After(now) {
			return Job{}, at, false
		}
		r.due.Drop()
		slow := e.quiet()
		if slow && r.slow >= max(r.o.Workers/2, 1) {
			r.parked = append(r.parked, first)
			continue
		}
		if slow {
			r.slow++
		}
		e.busy, e.poked, e.slow = true, false, slow
		return e.job, time.Time{}, true
	}
}

// edit changes an open job, or takes it out if f returns false, and keeps count of
// the places for downloads. The caller holds mu.
func (r *Runner) edit(device fleet.ID, f func(e *openJob) bool) {
	e := r.open[device]
	if e == nil {
		return
	}
	campaign, loads := e.job.Campaign, e.loads()
	r.tally(e, -1)
	keeps := f(e)
	if keeps {
		r.tally(e, 1)
	} else {
		delete(r.open, device)
	}
	if loads && (!keeps || !e.loads()) {
		r.admit(campaign)
	}
}

// admit wakes the job that has waited longest for a place for its download. The
// caller holds mu.
func (r *Runner) admit(campaign string) {
	for crowd := r.crowds[campaign]; len(crowd) > 0; {
		e := r.open[crowd[0]]
		device := crowd[0]
		crowd = crowd[1:]
		r.crowds[campaign] = crowd
		if e == nil || !e.crowd {
			continue
		}
		e.crowd, e.poked = false, true
		if !e.busy {
			e.at = time.Time{}
			r.due.Add(device, e.at)
		}
		return
	}
	delete(r.crowds, campaign)
}

// tally counts an open job for its campaign. The caller holds mu.
func (r *Runner) tally(e *openJob, n int) {
	if e.loads() {
		r.loading[e.job.Campaign] += n
	}
	if e.unheard() {
		r.unheard[e.job.Campaign] += n
	}
}

// rouse has the jobs of a campaign that are under way looked at now. The caller
// holds mu.
func (r *Runner) rouse(campaign string) {
	for device, e := range r.open {
		if e.job.Campaign == campaign && e.job.Aside == "" && !e.job.waits() {
			e.at = time.Time{}
			if !e.busy {
				r.due.Add(device, e.at)
			}
		}
	}
}

// unpark lets a silent device that waited for a worker have its turn. The caller
// holds mu.
func (r *Runner) unpark() {
	r.slow--
	for len(r.parked) > 0 {
		device := r.parked[0]
		r.parked = r.parked[1:]
		if e := r.open[device]; e != nil && !e.busy {
			r.due.Add(device, e.at)
			return
		}
	}
}

// leave ends a worker's turn with a device.
func (r *Runner) leave(device fleet.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edit(device, func(e *openJob) bool {
		if e.slow {
			r.unpark()
		}
		e.busy, e.place, e.slow = false, false, false
		if e.poked && !e.job.waits() {
			e.at = time.Time{}
		}
		r.due.Add(device, e.at)
		return true
	})
}

// keep takes over what a worker has stored.
func (r *Runner) keep(j, before Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edit(j.Device, func(e *openJob) bool {
		e.job, e.at, e.place = j, j.Due, false
		if e.slow && !j.State.Open() {
			r.unpark()
		}
		return j.State.Open()
	})
	for id, t := range r.campaigns {
		silent := j.Silent.IsZero() != before.Silent.IsZero()
		counted := id == j.Campaign && (silent || j.Tally() != before.Tally())
		freed := t.blocked && j.State.Over() // perhaps of a device that this one waits for
		t.dirty = t.dirty || counted || freed
	}
}

// put adds a job, or takes over a newer version of one. The caller holds mu.
func (r *Runner) put(j Job) {
	if r.open[j.Device] == nil {
		r.open[j.Device] = &openJob{}
	}
	r.edit(j.Device, func(e *openJob) bool {
		if e.job.Campaign == j.Campaign && e.job.Version >= j.Version {
			return true
		}
		e.job, e.at = j, j.Due
		if j.State == Queued && j.Silent.IsZero() {
			e.at = time.Time{} // what it waited for, a place say, this Runner has not seen
		}
		if !e.busy {
			r.due.Add(j.Device, e.at)
		}
		return true
	})
}

// postpone looks at a device again later, after an error that is not its own.
func (r *Runner) postpone(device fleet.ID, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edit(device, func(e *openJob) bool {
		e.at, e.poked = at, false
		return true
	})
}

// reread takes over what somebody else has made of a device's job.
func (r *Runner) reread(ctx context.Context, device fleet.ID) {
	j, err := r.o.Store.OfDevice(ctx, device)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edit(device, func(e *openJob) bool {
		switch {
		case errors.Is(err, ErrUnknown):
			if e.slow {
				r.unpark()
			}
			return false
		case err != nil:
			e.at = time.Now().Add(r.o.Poll)
		default:
			e.job, e.at = j, j.Due
		}
		return true
	})
}

// reserve promises a job a place among the downloads of its campaign, if one of
// most is free; 0 is no bound.
func (r *Runner) reserve(j Job, most int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	free := most == 0 || r.loading[j.Campaign] < most
	r.edit(j.Device, func(e *openJob) bool {
		free = free || e.place
		e.place = free
		if !free && !e.crowd {
			r.crowds[j.Campaign] = append(r.crowds[j.Campaign], j.Device)
		}
		e.crowd = !free
		return true
	})
	return free
}

// reload takes over the open jobs of one campaign, or of all for "".
func (r *Runner) reload(ctx context.Context, campaign string) error {
	found := map[fleet.ID]bool{}
	for after := fleet.ID(""); ; {
		jobs, err := r.o.Store.OpenJobs(ctx, campaign, after, batch)
		if err != nil {
			return err
		}
		r.mu.Lock()
		for _, j := range jobs {
			found[j.Device] = true
			r.put(j)
		}
		r.mu.Unlock()
		if len(jobs) < batch {
			break
		}
		after = jobs[len(jobs)-1].Device
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for device, e := range r.open {
		if !found[device] && !e.busy && e.job.Campaign == campaign {
			r.edit(device, func(*openJob) bool { return false })
		}
	}
	return nil
}
