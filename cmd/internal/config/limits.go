package config

import (
	"fmt"
	"time"

	"steward/est"
)

// Limits bound what devices may ask of the CA; see est.Limits. Zero fields take
// its defaults.
type Limits struct {
	Burst     int      `toml:"burst"`      // requests that one device may make at once; 20
	Interval  Duration `toml:"interval"`   // after which it may make another; 10 s
	PerDay    int      `toml:"per-day"`    // certificates of one device within 24 hours; 100
	PerMinute int      `toml:"per-minute"` // requests of all devices within a minute; 60000
}

// limits takes over the limits of the CA.
func (c *Config) limits(o Options) error {
	l := o.Limits
	for name, n := range map[string]int{
		"burst": l.Burst, "interval": int(l.Interval), "per-day": l.PerDay, "per-minute": l.PerMinute,
	} {
		if n < 0 {
			return fmt.Errorf("%w: limits.%s: %d is negative", ErrConfig, name, n)
		}
	}
	if l.PerDay > est.MaxPage {
		return fmt.Errorf("%w: limits.per-day: %d, want at most %d", ErrConfig, l.PerDay, est.MaxPage)
	}
	c.Limits = est.Limits{
		Burst: l.Burst, Interval: time.Duration(l.Interval), PerDay: l.PerDay, PerMinute: l.PerMinute,
	}
	return nil
}
