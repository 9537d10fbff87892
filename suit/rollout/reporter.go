package rollout

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report tells what became of a campaign so far, from all its jobs, read a page
// at a time. It returns ErrUnknown.
func (r *Runner) Report(ctx context.Context, id string) (Report, error) {
	c, err := r.o.Store.Campaign(ctx, id)
	if err != nil {
		return Report{}, err
	}
	release, err := r.o.Store.Release(ctx, c.Release)
	if err != nil {
		return Report{}, err
	}
	t := newReporter(&c)
	if err := r.eachLine(ctx, id, func(l *Line) error {
		t.add(l)
		return nil
	}); err != nil {
		return Report{}, err
	}
	return t.report(release, time.Now()), nil
}

// eachLine calls f with every job of a campaign, in its order.
func (r *Runner) eachLine(ctx context.Context, id string, f func(*Line) error) error {
	for after := (Job{}); ; {
		lines, err := r.o.Store.Lines(ctx, id, after, batch)
		if err != nil {
			return err
		}
		for i := range lines {
			if err := f(&lines[i]); err != nil {
				return err
			}
		}
		if len(lines) < batch {
			return nil
		}
		after = lines[len(lines)-1].Job
	}
}

// A reporter adds up jobs.
type reporter struct {
	c        *Campaign
	counts   map[int]Counts
	begun    int
	ended    []time.Time // of those done
	failures map[Failure]int
}

func newReporter(c *Campaign) *reporter {
	return &reporter{c: c, counts: map[int]Counts{}, failures: map[Failure]int{}}
}

func (t *reporter) add(l *Line) {
	if t.counts[l.Wave] == nil {
		t.counts[l.Wave] = Counts{}
	}
	t.counts[l.Wave][l.Tally()]++
	if !l.FirstAt.IsZero() {
		t.begun++
	}
	switch l.State {
	case Done:
		t.ended = append(t.ended, l.EndedAt)
	case Failed:
		t.failures[Failure{
			Code: l.Result, Text: resultText(l.Result), Model: strings.TrimSpace(l.Manufacturer + " " + l.Model),
		}]++
	default:
	}
}

func (t *reporter) report(release Release, now time.Time) Report {
	total := all(t.counts)
	out := Report{
		Campaign: t.c.ID, Name: t.c.Name, Release: release.ID, Version: release.Version, Sequence: release.Sequence,
		RollsBack: t.c.Plan.RollsBack, State: t.c.State, Reason: t.c.Reason, MadeAt: now.UTC(),
		StartedAt: t.c.StartedAt, EndedAt: t.c.EndedAt, Failures: []Failure{},
		Funnel: Funnel{
			Devices: total.Total(), Begun: t.begun,
			Delivered: total.Of(Downloaded) + total.Of(Installing) + total.Done(), Done: total.Done(), Counts: total,
		},
	}
	slices.SortFunc(t.ended, time.Time.Compare)
	out.Half, out.Most = t.until(halfway, total.Total()), t.until(nearly, total.Total())
	for f, n := range t.failures {
		f.Count = n
		out.Failures = append(out.Failures, f)
	}
	slices.SortFunc(out.Failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Model, b.Model))
	})
	for n := range len(t.c.Waves) + 1 {
		w := WaveReport{Number: n, Name: t.c.WaveName(n), Counts: Counts{}}
		maps.Copy(w.Counts, t.counts[n])
		w.Size = w.Counts.Total()
		if !t.c.IsTail(n) {
			s := &t.c.Waves[n]
			w.State, w.Moved, w.Reason = s.State, s.Moved, s.Reason
			w.BeganAt, w.SettledAt, w.EndedAt = s.BeganAt, s.SettledAt, s.EndedAt
		} else {
			w.BeganAt = t.c.TailAt
		}
		out.Waves = append(out.Waves, w)
	}
	return out
}

// The shares of devices whose time a report tells.
const (
	halfway = 50
	nearly  = 95
)

// until returns how long it took until so many percent of all devices were done;
// nil if that has not come.
func (t *reporter) until(share, all int) *Seconds {
	n := (all*share + percent - 1) / percent
	if n == 0 || n > len(t.ended) || t.c.StartedAt.IsZero() {
		return nil
	}
	s := Seconds(t.ended[n-1].Sub(t.c.StartedAt) / time.Second)
	return &s
}
