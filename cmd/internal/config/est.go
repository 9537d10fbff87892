package config

import (
	"cmp"
	"fmt"
	"time"

	"steward/est"
	"steward/est/estcoap"
)

// EST says how devices may ask for certificates: its own settings are those of /est,
// each label's those of /.well-known/est/<label>.
type EST struct {
	ESTProfile

	// Labels are further profiles. A setting that a label does not have is the
	// default, not that of /est.
	Labels map[string]ESTLabel `toml:"labels"`
	// ExpiredFactory lets devices enrol by factory certificates that have expired.
	ExpiredFactory bool `toml:"expired-factory"`
	// KeepKeys is how long keys made for devices are kept, sealed, for devices that
	// lost the answer; 1 h.
	KeepKeys Duration `toml:"keep-keys"`
	// C509Formats are the Content-Formats of requests, certificates, chains and, if there
	// is a fourth, templates in C509, which have no numbers assigned: "65001,65002,65003".
	// "": EST speaks no C509.
	C509Formats string `toml:"c509-formats"`
}

// An ESTProfile is how devices may ask for certificates of one profile.
type ESTProfile struct {
	Keys []string `toml:"keys"` // P-256, P-384, Ed25519, that preferred first; empty: all
	// ServerKeys lets devices have their keys made here.
	ServerKeys bool `toml:"server-keys"`
	// Approval has people approve each first enrolment.
	Approval bool `toml:"approval"`
	// ChannelBinding demands challengePassword as RFC 7030 §3.5 has it.
	ChannelBinding bool `toml:"channel-binding"`
	// NoRevAvail has certificates say that nobody publishes their revocation (RFC 9608),
	// for lifetimes of up to a week; Pointers has them name publication.url.
	NoRevAvail bool `toml:"no-rev-avail"`
	Pointers   bool `toml:"pointers"`
}

// An ESTLabel is an ESTProfile with certificates that live for a time of their own.
type ESTLabel struct {
	ESTProfile

	Lifetime Duration `toml:"lifetime"` // of certificates; 0: a year
}

const yearLong = 365 * 24 * time.Hour

// profile makes p a profile called name.
func (p ESTProfile) profile(name string, lifetime Duration) (*est.Profile, error) {
	o := est.ProfileOptions{
		Name: name, Kind: est.KindOperational, Validity: cmp.Or(time.Duration(lifetime), yearLong),
		ServerKeys: p.ServerKeys, Approval: p.Approval, Binding: p.ChannelBinding,
		NoRevAvail: p.NoRevAvail,
	}
	if p.Pointers {
		o.Pointers = est.PointersAlways
	}
	for _, k := range p.Keys {
		o.Keys = append(o.Keys, est.KeyAlgorithm(k))
	}
	return est.NewProfile(o)
}

// est takes over the profiles of devices' certificates.
func (c *Config) est(o Options) (err error) {
	if c.Operational, err = o.EST.profile("operational", o.Enrolment.Lifetime); err != nil {
		return fmt.Errorf("%w: est, or enrolment.lifetime: %w", ErrConfig, err)
	}
	c.Labels = map[string]*est.Profile{}
	for label, p := range o.EST.Labels {
		if c.Labels[label], err = p.profile(label, p.Lifetime); err != nil {
			return fmt.Errorf("%w: est.labels.%s: %w", ErrConfig, label, err)
		}
	}
	if o.EST.KeepKeys < 0 {
		return fmt.Errorf("%w: est.keep-keys: %v is negative", ErrConfig, time.Duration(o.EST.KeepKeys))
	}
	if c.C509, err = estcoap.ParseC509Formats(o.EST.C509Formats); err != nil {
		return fmt.Errorf("%w: est.c509-formats: %w", ErrConfig, err)
	}
	c.ExpiredFactory, c.KeepKeys = o.EST.ExpiredFactory, time.Duration(o.EST.KeepKeys)
	return nil
}
