package config

import (
	"fmt"
	"time"

	"steward/est"
	"steward/est/enrol"
)

// Enrolment says how long certificates of devices live and how they are renewed.
type Enrolment struct {
	// Lifetime is that of a device's operational certificate; 0: a year.
	Lifetime Duration `toml:"lifetime"`
	// ExpiredGrace is for how long a certificate that ended may still ask for its
	// successor, and for nothing else. 0, the default: not at all; the device comes
	// back by its factory certificate, with the key that it had last.
	ExpiredGrace Duration `toml:"expired-grace"`
	Rate         int      `toml:"rate"` // devices asked to renew in a minute; 600
	// Rekey says which devices are asked to make a factory key of their own without an
	// order of people: "arrived", the default, those that come from another provider;
	// "never".
	Rekey string `toml:"rekey"`
	// Renewal says when certificates are renewed, by the names of their profiles;
	// "default" is for those not named.
	Renewal map[string]Renewal `toml:"renewal"`
}

// A Renewal is an enrol.Policy. Zero fields take its defaults.
type Renewal struct {
	Share  float64  `toml:"share"`  // of the certificate's life; 0.667
	Before Duration `toml:"before"` // its end at the earliest; 30 days. The later of both counts
	Jitter float64  `toml:"jitter"` // share of its life over which renewals are spread; 0.1
}

// Values of Enrolment.Rekey.
const (
	rekeyArrived = "arrived"
	rekeyNever   = "never"
)

// maxExpiredGrace bounds the trust in a certificate whose time is over: what was not
// looked after for longer should prove its factory identity.
const maxExpiredGrace = est.MaxGrace

// enrolment takes over how devices are led through renewal.
func (c *Config) enrolment(o Options) error {
	e := o.Enrolment
	switch {
	case e.ExpiredGrace < 0 || time.Duration(e.ExpiredGrace) > maxExpiredGrace:
		return fmt.Errorf("%w: enrolment.expired-grace: %v; up to %v", ErrConfig, time.Duration(e.ExpiredGrace),
			maxExpiredGrace)
	case e.Rekey != "" && e.Rekey != rekeyArrived && e.Rekey != rekeyNever:
		return fmt.Errorf("%w: enrolment.rekey: %.20q; %s or %s", ErrConfig, e.Rekey, rekeyArrived, rekeyNever)
	case e.Rate < 0:
		return fmt.Errorf("%w: enrolment.rate: %d is negative", ErrConfig, e.Rate)
	}
	c.RekeyArrived = e.Rekey != rekeyNever
	c.ExpiredGrace, c.RenewalRate, c.Renewals = time.Duration(e.ExpiredGrace), e.Rate, map[string]enrol.Policy{}
	for name, r := range e.Renewal {
		p := enrol.Policy{Share: r.Share, Before: time.Duration(r.Before), Jitter: r.Jitter}
		if _, err := p.WithDefaults(); err != nil {
			return fmt.Errorf("%w: enrolment.renewal.%s: %w", ErrConfig, name, err)
		}
		if name == "default" {
			name = ""
		}
		c.Renewals[name] = p
	}
	return nil
}
