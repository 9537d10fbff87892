package rollout

import (
	"fmt"
	"math"
)

// Divide returns the waves that a plan makes of n devices: as its specs say, the
// rest as a last wave, none without a device. It returns ErrCampaign for specs
// that take more than there is, or make no sense.
func (p *Plan) Divide(n int) ([]Wave, error) {
	if len(p.Waves) > MaxWaves {
		return nil, fmt.Errorf("%w: %d waves, at most %d", ErrCampaign, len(p.Waves), MaxWaves)
	}
	var out []Wave
	left, share := n, 0.0
	for i, s := range p.Waves {
		if err := s.check(i); err != nil {
			return nil, err
		}
		share += s.Percent
		if share > percent {
			return nil, fmt.Errorf("%w: the waves take %s %% of the devices", ErrCampaign, decimal(share))
		}
		size := min(s.size(n, left), left)
		if size == 0 && n > 0 {
			continue // the waves before took all
		}
		out = append(out, Wave{Spec: s, Size: size, State: WavePending})
		left -= size
	}
	if left > 0 {
		rest := WaveSpec{Name: "remainder"}
		if len(out) == 0 {
			rest.Name = "all devices"
		} else {
			rest.Gate = out[len(out)-1].Spec.Gate
		}
		out = append(out, Wave{Spec: rest, Size: left, State: WavePending})
	}
	return out, nil
}

// size returns how many of n devices the wave takes, left being those that no
// wave has taken yet.
func (s WaveSpec) size(n, left int) int {
	switch {
	case s.Count > 0:
		return s.Count
	case s.Percent > 0:
		return int(math.Ceil(s.Percent * float64(n) / percent))
	}
	return left
}

// check returns ErrCampaign for a spec, the i-th, that makes no sense.
func (s WaveSpec) check(i int) error {
	switch {
	case s.Count < 0 || s.Percent < 0 || s.Percent > percent || math.IsNaN(s.Percent):
		return fmt.Errorf("%w: wave %d takes %d devices or %g %%", ErrCampaign, i+1, s.Count, s.Percent)
	case s.Count > 0 && s.Percent > 0:
		return fmt.Errorf("%w: wave %d is given by number and by share", ErrCampaign, i+1)
	case s.Canary && (i > 0 || s.Count == 0):
		return fmt.Errorf("%w: a canary is the first wave, and a number of devices", ErrCampaign)
	}
	return s.Gate.check()
}

// waveOf returns in which of the waves the device at a position is.
func waveOf(waves []Wave, position int) int {
	for i, w := range waves {
		if position < w.Size {
			return i
		}
		position -= w.Size
	}
	return len(waves)
}
