package rollout

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Gate is what must hold of a wave before the campaign goes on. Nil and zero
// fields ask nothing.
type Gate struct {
	Success          float64    `json:"success,omitempty"`            // least share of the finished that is done, percent
	Soak             Seconds    `json:"soak,omitempty"`               // to wait after the last device has finished
	MaxFailures      *int       `json:"max_failures,omitempty"`       // more stop the wave at once
	MaxFailedPercent *float64   `json:"max_failed_percent,omitempty"` // a greater share stops it
	MaxUnreachable   *int       `json:"max_unreachable,omitempty"`    // devices out of reach
	MaxRefused       *int       `json:"max_refused,omitempty"`        // devices whom the manifest does not suit
	MinSample        int        `json:"min_sample,omitempty"`         // finished devices that a judgement needs
	Action           GateAction `json:"action,omitempty"`             // "": Pause
}

// A GateAction is what a gate does that does not open. It never goes on.
type GateAction string

// The actions of gates.
const (
	PauseCampaign GateAction = "pause"
	AbortCampaign GateAction = "abort"
)

// A Verdict is what a gate says.
type Verdict string

// The verdicts.
const (
	VerdictRun  Verdict = "run"  // devices are under way
	VerdictSoak Verdict = "soak" // all have finished; the soak time runs
	VerdictPass Verdict = "pass" // go on
	VerdictStop Verdict = "stop" // do the gate's action
)

// A Judgement is a verdict and its reason in words.
type Judgement struct {
	Verdict Verdict
	Reason  string
	Until   time.Time // when a soak ends; zero otherwise
}

// Judge says how a wave stands whose jobs count as c. waived is what people have
// accepted; settled is when the last job finished, zero if it just did. A stop
// says "paused" or "aborted" as the gate's action is.
func (g Gate) Judge(name string, c, waived Counts, settled, now time.Time) Judgement {
	rest := sampleOf(c, waived)
	over := c.Waiting() == 0
	if why := g.limit(rest, over); why != "" {
		return g.stop(name, why)
	}
	if !over {
		return Judgement{Verdict: VerdictRun, Reason: fmt.Sprintf("%s: %d of %d finished", name, c.Over(), c.Total())}
	}
	if why := g.sample(rest, waived != nil); why != "" {
		return g.stop(name, why)
	}
	if settled.IsZero() {
		settled = now
	}
	if until := settled.Add(g.Soak.Duration()); now.Before(until) {
		return Judgement{
			Verdict: VerdictSoak, Until: until,
			Reason: fmt.Sprintf("%s: finished, soaks until %s", name, until.UTC().Format(time.RFC3339)),
		}
	}
	return Judgement{Verdict: VerdictPass, Reason: fmt.Sprintf("%s: passed, %s", name, summary(c))}
}

// summary tells the counts that people ask for.
func summary(c Counts) string {
	parts := []string{fmt.Sprintf("%d of %d done", c.Done(), c.Total())}
	for _, part := range []struct {
		n    int
		word string
	}{
		{c.Failed(), "failed"},
		{c.Refused(), "refused"},
		{c.Of(Aborted), "aborted"},
		{c.Away(), "out of reach"},
		{c[Tally(Deferred)], "put off"},
		{c[Tally(Blocked)], "busy in an older campaign"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(parts, ", ")
}

func (g Gate) stop(name, why string) Judgement {
	done := "paused"
	if g.Action == AbortCampaign {
		done = "aborted"
	}
	return Judgement{Verdict: VerdictStop, Reason: fmt.Sprintf("%s: %s: %s", name, why, done)}
}

// A sample is what a gate looks at: what failed, less what was waived, among all.
type sample struct {
	failed, away, refused, finished, total int

	more string // " more" where something was waived
}

func sampleOf(c, waived Counts) sample {
	s := sample{
		failed: c.Failed() - waived.Failed(), away: c.Away() - waived.Away(), refused: c.Refused() - waived.Refused(),
		finished: c.Done() + c.Failed(), total: c.Total(),
	}
	if waived != nil {
		s.more = " more"
	}
	return s
}

// Limits says only whether a limit is exceeded: a stop, or a run.
func (g Gate) Limits(name string, c, waived Counts) Judgement {
	if why := g.limit(sampleOf(c, waived), false); why != "" {
		return g.stop(name, why)
	}
	return Judgement{Verdict: VerdictRun}
}

// limit says which limit is exceeded, "" for none. Before the end a share is
// taken of the finished if they are enough, and of the whole wave otherwise:
// that it can only grow beyond.
func (g Gate) limit(s sample, over bool) string {
	if g.MaxFailures != nil && s.failed > *g.MaxFailures {
		return fmt.Sprintf("%d%s of %d failed, more than %d", s.failed, s.more, s.total, *g.MaxFailures)
	}
	of := s.total
	if over || g.MinSample > 0 && s.finished >= g.MinSample {
		of = s.finished
	}
	if g.MaxFailedPercent != nil && share(s.failed, of) > *g.MaxFailedPercent {
		return fmt.Sprintf("%d%s of %d failed, more than %s %%", s.failed, s.more, of, decimal(*g.MaxFailedPercent))
	}
	if g.MaxUnreachable != nil && s.away > *g.MaxUnreachable {
		return fmt.Sprintf("%d%s of %d out of reach, more than %d", s.away, s.more, s.total, *g.MaxUnreachable)
	}
	if g.MaxRefused != nil && s.refused > *g.MaxRefused {
		return fmt.Sprintf("%d%s of %d refused before sending, more than %d", s.refused, s.more, s.total, *g.MaxRefused)
	}
	return ""
}

// sample says what a finished wave lacks, "" for nothing. What people waived is
// not asked again.
func (g Gate) sample(s sample, waived bool) string {
	if waived || s.total == 0 {
		return ""
	}
	if s.finished < g.MinSample {
		return fmt.Sprintf("only %d of at least %d devices finished", s.finished, g.MinSample)
	}
	done := s.finished - s.failed
	if g.Success > 0 && s.finished > 0 && share(done, s.finished) < g.Success {
		return fmt.Sprintf("%d of %d succeeded, less than %s %%", done, s.finished, decimal(g.Success))
	}
	if g.Success > 0 && s.finished == 0 {
		return fmt.Sprintf("no device of %d finished, and %s %% must succeed", s.total, decimal(g.Success))
	}
	return ""
}

const percent = 100

// share returns how many percent n is of all; 0 of none.
func share(n, all int) float64 {
	if all == 0 {
		return 0
	}
	return percent * float64(n) / float64(all)
}

// decimal writes a percentage with as many digits as it needs, two at most.
func decimal(f float64) string { return fmt.Sprint(math.Round(f*percent) / percent) }

// check returns ErrCampaign for a gate that could never open, or has no sense.
func (g Gate) check() error {
	negative := g.Soak < 0 || g.MinSample < 0
	for _, n := range []*int{g.MaxFailures, g.MaxUnreachable, g.MaxRefused} {
		negative = negative || n != nil && *n < 0
	}
	share := g.MaxFailedPercent
	switch {
	case negative:
		return fmt.Errorf("%w: a gate with a negative number", ErrCampaign)
	case g.Success < 0 || g.Success > percent || share != nil && (*share < 0 || *share > percent):
		return fmt.Errorf("%w: a gate with a share that is not 0 to 100 %%", ErrCampaign)
	case g.Action != "" && g.Action != PauseCampaign && g.Action != AbortCampaign:
		return fmt.Errorf("%w: gate action %.20q", ErrCampaign, g.Action)
	}
	return nil
}
