package rollout

import (
	"fmt"
	"time"

	"steward/lwm2m/fleet"
)

// A Job is one device of a campaign.
type Job struct {
	Campaign string
	Device   fleet.ID
	Position int // in the campaign's order, from 0
	Wave     int // the number of the campaign's waves is the tail
	State    JobState
	Aside    Aside       // why its wave goes on without it; "" if it does not
	Reason   string      // in words, why it waits or how it ended
	Result   int         // update result as last read: /5/0/5, or that of object 33629
	Tries    int         // of the present state
	Attempts map[int]int // tries over again by the code that was their cause; nil: none
	Zone     string      // UTC offset that the device told, "+02:00"; "" unknown
	Due      time.Time   // when to look again
	Silent   time.Time   // since when it has not answered; zero: it answers
	BeganAt  time.Time   // of the present attempt; zero: not yet
	FirstAt  time.Time   // of the first attempt; zero: never begun
	EndedAt  time.Time   // zero: not over
	Version  int64       // rises by one with each change; guards against two writers

	UpdatedAt time.Time
}

// same reports whether j and o differ at most in when to look again.
func (j *Job) same(o *Job) bool {
	return j.State == o.State && j.Aside == o.Aside && j.Reason == o.Reason && j.Result == o.Result &&
		j.Tries == o.Tries && j.Zone == o.Zone && j.Silent.Equal(o.Silent) && j.BeganAt.Equal(o.BeganAt)
}

// An Aside is why a wave does not wait for a device. When the wave is over the
// device moves to the tail.
type Aside string

// The reasons for going on without a device.
const (
	Away     Aside = "away"     // out of reach
	Deferred Aside = "deferred" // the device put the update off
	Blocked  Aside = "blocked"  // an older campaign is not finished with it
)

// A Tally is what a job counts as: its Aside if it has one, else its state.
type Tally string

// Tally returns what j counts as.
func (j *Job) Tally() Tally {
	if j.Aside != "" {
		return Tally(j.Aside)
	}
	return Tally(j.State)
}

// Counts are the jobs of a wave, or of a campaign, by tally. They are kept
// incrementally: no event counts all jobs.
type Counts map[Tally]int

// inHand returns how many are begun and have not finished their download.
func (c Counts) inHand() int { return c.Of(Queued) + c.Of(Delivering) + c.Of(Downloading) }

// Of returns how many jobs have a state and are not set aside.
func (c Counts) Of(s JobState) int { return c[Tally(s)] }

// Done returns how many succeeded.
func (c Counts) Done() int { return c.Of(Done) }

// Failed returns how many failed.
func (c Counts) Failed() int { return c.Of(Failed) }

// Refused returns how many were refused before anything was sent.
func (c Counts) Refused() int { return c.Of(Incompatible) }

// Away returns how many are out of reach.
func (c Counts) Away() int { return c[Tally(Away)] }

// Total returns how many jobs there are.
func (c Counts) Total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// Over returns how many have ended, well or not.
func (c Counts) Over() int { return c.Done() + c.Failed() + c.Refused() + c.Of(Aborted) }

// Aside returns how many a wave does not wait for.
func (c Counts) Aside() int { return c[Tally(Away)] + c[Tally(Deferred)] + c[Tally(Blocked)] }

// Waiting returns how many a wave waits for.
func (c Counts) Waiting() int { return c.Total() - c.Over() - c.Aside() }

// add returns the sum of both.
func (c Counts) add(o Counts) Counts {
	sum := Counts{}
	for _, part := range []Counts{c, o} {
		for t, n := range part {
			sum[t] += n
		}
	}
	return sum
}

// A Line is a job with what is known of its device, for reports.
type Line struct {
	Job

	Endpoint     string
	Manufacturer string
	Model        string
}

// A Candidate is a device that a campaign may take.
type Candidate struct {
	Device    fleet.ID
	Endpoint  string
	Ownership fleet.Ownership

	Manufacturer string
	Model        string

	Version    string // of its firmware, as last heard
	Registered bool
	Sequence   uint64 // of the newest release that it got here; 0: none
	Busy       string // campaign that is not finished with it; "": none
}

// A Preview says of one device whether a campaign takes it, and why.
type Preview struct {
	Candidate

	In     bool
	Reason string // in words
}

// BlockedBy says in words that a job waits for another campaign: the older one
// always finishes with a device first.
func BlockedBy(campaign string) string {
	return fmt.Sprintf("waits: the older campaign %q has not finished with this device", campaign)
}
