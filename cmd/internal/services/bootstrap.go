package services

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m/bootstrap"
	"steward/lwm2m/fleet"
	"steward/web"
)

// bootstraps implements web.Bootstraps.
type bootstraps struct{ *base }

// BootstrapProfiles implements web.Bootstraps.
func (s *bootstraps) BootstrapProfiles(ctx context.Context) ([]web.BootstrapProfile, error) {
	all, err := s.DB.Bootstrap().Profiles(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.BootstrapProfile, len(all))
	for i, p := range all {
		out[i] = showProfile(p)
	}
	return out, nil
}

func showProfile(p bootstrap.Profile) web.BootstrapProfile {
	return web.BootstrapProfile{
		Name: p.Name, Tag: p.Tag, Mode: string(p.Mode), ShortID: int(p.Short), Lifetime: wholeSeconds(p.Lifetime),
		MinPeriod: wholeSeconds(p.MinPeriod), MaxPeriod: wholeSeconds(p.MaxPeriod), Queue: p.Queue,
	}
}

func wholeSeconds(d time.Duration) int { return int(d / time.Second) }

// maxSeconds is above every bound on a profile's times, and below overflow.
const maxSeconds = 1 << 30

// PutBootstrapProfile implements web.Bootstraps.
func (s *bootstraps) PutBootstrapProfile(
	ctx context.Context, by web.Actor, p web.BootstrapProfile,
) (web.BootstrapProfile, error) {
	if err := errors.Join(checkText("name", p.Name, maxReason), checkText("tag", p.Tag, maxReason)); err != nil {
		return web.BootstrapProfile{}, err
	}
	for field, n := range map[string]int{"lifetime": p.Lifetime, "min_period": p.MinPeriod, "max_period": p.MaxPeriod} {
		if n < 0 || n > maxSeconds {
			return web.BootstrapProfile{}, web.Invalid(field, "not a number of seconds that makes sense")
		}
	}
	if p.ShortID < 1 || p.ShortID > 65534 {
		return web.BootstrapProfile{}, web.Invalid("short_id", "must be 1 to 65534")
	}
	stored := bootstrap.Profile{
		Name: p.Name, Tag: p.Tag, Mode: bootstrap.Mode(p.Mode), Short: uint16(p.ShortID),
		Lifetime: time.Duration(p.Lifetime) * time.Second, MinPeriod: time.Duration(p.MinPeriod) * time.Second,
		MaxPeriod: time.Duration(p.MaxPeriod) * time.Second, Queue: p.Queue,
	}
	if err := s.DB.Bootstrap().PutProfile(ctx, stored, by.String()); err != nil {
		return web.BootstrapProfile{}, translate(err)
	}
	return showProfile(stored), nil
}

// RemoveBootstrapProfile implements web.Bootstraps.
func (s *bootstraps) RemoveBootstrapProfile(ctx context.Context, by web.Actor, name string) error {
	return translate(s.DB.Bootstrap().RemoveProfile(ctx, name, by.String()))
}

// DeviceKeys implements web.Bootstraps.
func (s *bootstraps) DeviceKeys(ctx context.Context, device string) (web.DeviceKeys, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceKeys{}, err
	}
	return s.keysOf(ctx, line.ID)
}

func (s *bootstraps) keysOf(ctx context.Context, id fleet.ID) (out web.DeviceKeys, err error) {
	for _, use := range []fleet.CredentialUse{fleet.UseServer, fleet.UseBootstrap} {
		k, err := s.Keys.CredentialOf(ctx, id, use)
		if errors.Is(err, fleet.ErrNoCredential) {
			continue
		}
		if err != nil {
			return out, translate(err)
		}
		out.Keys = append(out.Keys, web.DeviceKey{Use: web.KeyUse(use), Identity: k.Identity, CreatedAt: k.CreatedAt})
	}
	r, err := s.DB.Bootstrap().Last(ctx, id)
	if err != nil || r.State == "" {
		return out, translate(err)
	}
	out.Bootstrap = showReport(r)
	return out, nil
}

func showReport(r bootstrap.Report) *web.DeviceBootstrap {
	b := &web.DeviceBootstrap{
		State: string(r.State), Reason: printable(r.Reason), Address: r.Address, StartedAt: r.StartedAt,
	}
	if !r.EndedAt.IsZero() {
		b.EndedAt = &r.EndedAt
	}
	for _, step := range r.Steps {
		b.Steps = append(b.Steps, web.BootstrapStep{
			Milliseconds: step.At.Milliseconds(), What: step.What, Answer: step.Answer, Note: printable(step.Note),
		})
	}
	return b
}

// PutDeviceKey implements web.Bootstraps.
func (s *bootstraps) PutDeviceKey(
	ctx context.Context, by web.Actor, device string, k web.NewDeviceKey,
) (web.DeviceKeys, error) {
	if err := errors.Join(checkText("identity", k.Identity, fleet.MaxPSKIdentity),
		checkText("reason", k.Reason, maxReason)); err != nil {
		return web.DeviceKeys{}, err
	}
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceKeys{}, err
	}
	c := fleet.Credential{
		Device: line.ID, Use: fleet.CredentialUse(k.Use), Identity: k.Identity, Secret: k.Key, CreatedAt: s.Now(),
	}
	if err := s.Keys.PutCredential(ctx, c, by.String(), k.Reason); err != nil {
		return web.DeviceKeys{}, translate(err)
	}
	s.KeyChanged(line.ID, c.Use)
	return s.keysOf(ctx, line.ID)
}

// RemoveDeviceKey implements web.Bootstraps.
func (s *bootstraps) RemoveDeviceKey(
	ctx context.Context, by web.Actor, device string, use web.KeyUse,
) (web.DeviceKeys, error) {
	if use != web.KeyServer && use != web.KeyBootstrap {
		return web.DeviceKeys{}, notFound("use of keys", string(use))
	}
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceKeys{}, err
	}
	err = s.Keys.RemoveCredential(ctx, line.ID, fleet.CredentialUse(use), by.String(), "removed by an operator")
	if err != nil {
		return web.DeviceKeys{}, translate(err)
	}
	s.KeyChanged(line.ID, fleet.CredentialUse(use))
	return s.keysOf(ctx, line.ID)
}
