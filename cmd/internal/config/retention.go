package config

import (
	"fmt"
	"time"
)

// Retention says for how long what has happened is kept. Zero fields take the
// defaults.
type Retention struct {
	Events     int      `toml:"events"`     // days of events, for streams and webhooks that come back; 7
	Operations int      `toml:"operations"` // days of operations on devices that are over; 7
	Values     int      `toml:"values"`     // most days of values over time, whatever rules say; as these say
	Trace      Duration `toml:"trace"`      // how long a device's trace that is over can be looked at; 1 h
	// Audit is days of audit rows in the database. Older ones go to files in DATA/audit,
	// which nothing removes; "steward audit verify" reads them. 0: all stay.
	Audit int `toml:"audit"`
}

const (
	maxKept  = 36_500             // days: a hundred years, far from the end of times in microseconds
	maxTrace = 7 * 24 * time.Hour // traces are kept in memory
	dayTime  = 24 * time.Hour
)

// A Kept is validated Retention; zero fields mean what they mean there.
type Kept struct {
	Events, Operations, Trace, Audit time.Duration
	ValueDays                        int
}

// retention takes over for how long things are kept.
func (c *Config) retention(o Options) error {
	r := o.Retention
	for _, days := range []struct {
		name string
		n    int
	}{{"events", r.Events}, {"operations", r.Operations}, {"values", r.Values}, {"audit", r.Audit}} {
		if days.n < 0 || days.n > maxKept {
			return fmt.Errorf("%w: retention.%s: %d; days, 1 to %d, or 0 for the default", ErrConfig, days.name, days.n, maxKept)
		}
	}
	if t := time.Duration(r.Trace); t < 0 || t > maxTrace {
		return fmt.Errorf("%w: retention.trace: %v; up to %v, for traces are kept in memory", ErrConfig, t, maxTrace)
	}
	c.Kept = Kept{
		Events: time.Duration(r.Events) * dayTime, Operations: time.Duration(r.Operations) * dayTime,
		Trace: time.Duration(r.Trace), Audit: time.Duration(r.Audit) * dayTime, ValueDays: r.Values,
	}
	return nil
}
