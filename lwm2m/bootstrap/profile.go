package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m"
)

// Errors of profiles.
var (
	// ErrProfile reports a profile that cannot be used.
	ErrProfile = errors.New("unusable bootstrap profile")
	// ErrProfileTag reports that another profile is for the same devices.
	ErrProfileTag = errors.New("another profile has the tag")
)

// A Mode says how devices of a profile prove themselves to the LwM2M server.
type Mode string

// The modes of profiles (§E.1, resource 2 of LwM2M Security).
const (
	// ModePSK gives each device a pre-shared key of its own.
	ModePSK Mode = "psk"
	// ModeRawKey gives each device a raw public key of its own with the private key.
	ModeRawKey Mode = "rpk"
	// ModeCertificate gives each device a certificate of our CA with the private key
	// (security mode 2).
	ModeCertificate Mode = "x509"
	// ModeEST tells devices to enrol for a certificate (security mode 4).
	ModeEST Mode = "est"
	// ModeNoSec sends devices to the listener without security; for tests.
	ModeNoSec Mode = "nosec"
)

// modes are all of them.
var modes = [...]Mode{ModePSK, ModeRawKey, ModeCertificate, ModeEST, ModeNoSec}

// Limits of profiles.
const (
	maxProfileName = 64
	maxLifetime    = 10 * 365 * 24 * time.Hour
	// MaxProfiles is how many a provider has at most.
	MaxProfiles = 256
)

// A Profile is the configuration of a group of devices.
type Profile struct {
	Name     string
	Tag      string // of the devices it is for; "": all that no other profile is for
	Mode     Mode
	Short    uint16        // Short Server ID
	Lifetime time.Duration // of registrations, whole seconds
	// MinPeriod and MaxPeriod are the defaults of pmin and pmax; zero: not set.
	MinPeriod, MaxPeriod time.Duration
	Queue                bool // devices are told to use queue mode
	// Streams sends devices to our listeners for TCP, or TLS, in place of UDP or DTLS.
	Streams bool `json:",omitempty"`
	// Objects are instances of other objects that devices get.
	Objects []Instance `json:",omitempty"`
}

// Check returns ErrProfile with the reason.
func (p Profile) Check() error {
	switch {
	case p.Name == "" || len(p.Name) > maxProfileName || len(p.Tag) > maxProfileName:
		return fmt.Errorf("%w: name and tag have at most %d bytes, and a name one", ErrProfile, maxProfileName)
	case !slices.Contains(modes[:], p.Mode):
		return fmt.Errorf("%w: mode %.20q, want one of %s", ErrProfile, p.Mode, modes)
	case p.Short == 0 || p.Short == lwm2m.NoID:
		return fmt.Errorf("%w: Short Server ID must be 1 to 65534", ErrProfile)
	case p.Lifetime < time.Second || p.Lifetime > maxLifetime || p.Lifetime%time.Second != 0:
		return fmt.Errorf("%w: lifetime must be whole seconds, up to ten years", ErrProfile)
	case p.Streams && (p.Mode == ModePSK || p.Mode == ModeRawKey):
		return fmt.Errorf("%w: mode %s is for DTLS only, not for TLS", ErrProfile, p.Mode)
	case p.Streams && p.Queue:
		return fmt.Errorf("%w: devices that keep a connection open do not sleep", ErrProfile)
	case p.MinPeriod < 0 || p.MaxPeriod < 0 || p.MaxPeriod > maxLifetime ||
		p.MaxPeriod > 0 && p.MinPeriod > p.MaxPeriod:
		return fmt.Errorf("%w: periods must not be negative, nor the shortest above the longest", ErrProfile)
	}
	return p.checkObjects()
}

// checkObjects holds the other objects against the rules of a Configuration.
func (p Profile) checkObjects() error {
	if err := checkInstances(p.Objects); err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	for i, o := range p.Objects {
		for _, e := range o.Entries {
			if !o.Path.Contains(e.Path) || e.Path.Len() < 3 {
				return fmt.Errorf("%w: %s is no resource of %s", ErrProfile, e.Path, o.Path)
			}
		}
		for _, other := range p.Objects[:i] {
			if other.Path == o.Path {
				return fmt.Errorf("%w: %s twice", ErrProfile, o.Path)
			}
		}
	}
	return nil
}

// Profiles keeps profiles. Implementations are safe for concurrent use.
type Profiles interface {
	// PutProfile stores p in place of that with the same name, with an audit row. It
	// returns ErrProfile, also beyond MaxProfiles, and ErrProfileTag.
	PutProfile(ctx context.Context, p Profile, actor string) error
	// Profiles returns all, in order of names.
	Profiles(ctx context.Context) ([]Profile, error)
	// RemoveProfile deletes one, with an audit row; none is no error.
	RemoveProfile(ctx context.Context, name, actor string) error
}

// For returns the profile for a device with the given tags: the first by name
// whose tag is among them, else that without a tag. ok is false without either.
func For(all []Profile, tags []string) (p Profile, ok bool) {
	for _, q := range all {
		if q.Tag == "" && !ok {
			p, ok = q, true
		}
		for _, t := range tags {
			if q.Tag != "" && q.Tag == t {
				return q, true
			}
		}
	}
	return p, ok
}
