package rollout

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// joined puts reasons into one, bounded as a column of text should be.
func joined(reasons []string) string {
	const most = 1000
	s := strings.Join(reasons, "; ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// answered notes that the device was heard, and what it said.
func (t *turn) answered(s Status) {
	t.heard()
	t.j.Result = s.Result
}

// heard notes that the device is within reach.
func (t *turn) heard() {
	if !t.j.Silent.IsZero() {
		t.j.Silent, t.j.Tries = time.Time{}, 0
	}
	if t.j.Aside == Away {
		t.j.Aside = ""
	}
}

// hold leaves the job as it is until a time, for a reason that is not the
// device's.
func (t *turn) hold(reason string, until time.Time) (Job, JobEvent) {
	t.j.Reason, t.j.Due = reason, until
	return t.j, ""
}

// later asks again: the device is at work. What takes too long is a failure.
func (t *turn) later(reason string) (Job, JobEvent) {
	end := t.j.BeganAt.Add(t.c.Plan.timeout())
	if !t.j.BeganAt.IsZero() && !t.now.Before(end) {
		return t.failure(CodeTimeout, fmt.Sprintf("%s for more than %s", reason, t.c.Plan.timeout()))
	}
	t.j.Tries++
	due := t.now.Add(t.r.backoff(t.j.Tries))
	if !t.j.BeganAt.IsZero() {
		due = earliest(due, end)
	}
	return t.hold(reason, due)
}

// silent asks again: the device cannot be reached. After a while its wave goes on
// without it; in the tail it is given up at last.
func (t *turn) silent(err error) (Job, JobEvent) {
	now := time.Now() // to be out of reach takes a while to find out
	if t.j.Silent.IsZero() {
		t.j.Silent, t.j.Tries = t.now, 0
	}
	due := now.Add(maxPoll) // who sleeps wakes us by its next message
	if !errors.Is(err, ErrAsleep) {
		t.j.Tries++
		due = now.Add(t.r.backoff(t.j.Tries))
	}
	away := t.j.Silent.Add(t.c.Plan.silentFor())
	switch {
	case t.j.Tries > t.r.o.MaxTries && t.c.Plan.TailFor == 0 && t.c.IsTail(t.j.Wave):
		t.j.Result = CodeSilent
		t.j.Reason = fmt.Sprintf("gave up after %d tries: %s", t.r.o.MaxTries, err)
		return t.j, Exhausted
	case !now.Before(away):
		t.j.Aside = Away
	default:
		due = earliest(due, away)
	}
	return t.hold(err.Error(), due)
}

// failure follows the retry matrix.
func (t *turn) failure(code int, reason string) (Job, JobEvent) {
	if reason == "" {
		reason = resultText(code)
	}
	t.j.Result = code
	retry, n := t.c.Plan.Retry.of(code), t.j.Attempts[code]+1
	if n > retry.Tries {
		t.j.Reason = reason
		if n > 1 {
			t.j.Reason = fmt.Sprintf("%s, %d times", reason, n)
		}
		return t.j, Refused
	}
	t.j.Attempts = maps.Clone(t.j.Attempts)
	if t.j.Attempts == nil {
		t.j.Attempts = map[int]int{}
	}
	t.j.Attempts[code] = n
	t.j.Due = t.now.Add(retry.wait(n))
	t.j.Reason = fmt.Sprintf("%s: try %d of %d at %s", reason, n, retry.Tries, t.j.Due.UTC().Format(time.RFC3339))
	if code == deferred {
		t.j.Aside = Deferred
	}
	return t.j, Retried
}

// backoff returns how long to wait before try number n, from 1.
func (r *Runner) backoff(n int) time.Duration {
	if n > maxDoublings {
		return maxPoll
	}
	return min(maxPoll, r.o.Poll<<(n-1))
}
