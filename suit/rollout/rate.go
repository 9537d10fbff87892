package rollout

import (
	"fmt"
	"math"
	"time"
)

// PerMinute returns how many devices may begin in a minute when done of them have
// succeeded; 0 means any number.
func (r Rates) PerMinute(done int) float64 {
	if r.Ramp == nil {
		return r.StartsPerMinute
	}
	rate := r.Ramp.From * math.Pow(r.Ramp.Factor, float64(done/r.Ramp.Every))
	if r.StartsPerMinute > 0 {
		rate = min(rate, r.StartsPerMinute)
	}
	return min(rate, maxRate)
}

// maxRate is as good as no bound, and keeps a ramp from growing out of floats.
const maxRate = 1e6

func (r Rates) check() error {
	switch {
	case r.Concurrent < 0 || r.StartsPerMinute < 0 || r.BytesPerSecond < 0 || math.IsNaN(r.StartsPerMinute):
		return fmt.Errorf("%w: a negative rate", ErrCampaign)
	case r.Ramp != nil && !(r.Ramp.From > 0 && r.Ramp.Factor > 1 && r.Ramp.Every > 0):
		return fmt.Errorf("%w: a ramp needs a beginning, a factor above 1, and devices for each step", ErrCampaign)
	}
	return nil
}

// A pace hands out starts: a second's worth at once, and one. It begins with
// one, also after a restart of the server, which therefore never bursts.
type pace struct {
	credit float64
	at     time.Time
}

// take returns how many of want devices may begin now, and if not all, when the
// next one may.
func (p *pace) take(want int, perMinute float64, now time.Time) (n int, next time.Time) {
	if perMinute <= 0 || want <= 0 {
		return want, time.Time{}
	}
	perSecond := perMinute / time.Minute.Seconds()
	if p.at.IsZero() {
		p.credit = 1
	} else {
		p.credit = min(p.credit+now.Sub(p.at).Seconds()*perSecond, perSecond+1)
	}
	p.at = now
	n = min(want, int(p.credit+rounding))
	p.credit = max(p.credit-float64(n), 0)
	if n == want {
		return n, time.Time{}
	}
	return n, now.Add(time.Duration((1 - p.credit) / perSecond * float64(time.Second)))
}

// giveBack returns starts that nobody used.
func (p *pace) giveBack(n int) { p.credit += float64(n) }

// rounding lets a credit count as whole that floats brought just below.
const rounding = 1e-6
