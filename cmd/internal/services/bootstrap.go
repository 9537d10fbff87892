package services

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"steward/lwm2m"
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
		MinPeriod: wholeSeconds(p.MinPeriod), MaxPeriod: wholeSeconds(p.MaxPeriod), Queue: p.Queue, Streams: p.Streams,
		Objects: showInstances(p.Objects),
	}
}

func showInstances(all []bootstrap.Instance) (out []web.BootstrapInstance) {
	for _, i := range all {
		shown := web.BootstrapInstance{Path: i.Path.String()}
		for _, e := range i.Entries {
			shown.Values = append(shown.Values, web.BootstrapValue{Path: e.Path.String(), Value: web.EncodeValue(e.Value)})
		}
		out = append(out, shown)
	}
	return out
}

// readInstances is the inverse of showInstances: types are those of the registry.
func (s *bootstraps) readInstances(all []web.BootstrapInstance) (out []bootstrap.Instance, err error) {
	for _, i := range all {
		read := bootstrap.Instance{}
		if read.Path, err = lwm2m.ParsePath(i.Path); err != nil {
			return nil, web.Invalid("objects", err.Error())
		}
		for _, v := range i.Values {
			e := lwm2m.Entry{}
			if e.Path, err = lwm2m.ParsePath(v.Path); err != nil || e.Path.Len() < 3 {
				return nil, web.Invalid("objects", v.Path+" is no resource")
			}
			raw, err := json.Marshal(v.Value)
			if err != nil {
				return nil, web.Invalid("objects", err.Error())
			}
			if e.Value, err = web.DecodeValue(lwm2m.KindOf(s.Registry, e.Path), raw); err != nil {
				return nil, web.Invalid("objects", v.Path+": "+err.Error())
			}
			read.Entries = append(read.Entries, e)
		}
		out = append(out, read)
	}
	return out, nil
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
		MaxPeriod: time.Duration(p.MaxPeriod) * time.Second, Queue: p.Queue, Streams: p.Streams,
	}
	var err error
	if stored.Objects, err = s.readInstances(p.Objects); err != nil {
		return web.BootstrapProfile{}, err
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
		out.Keys = append(out.Keys, web.DeviceKey{
			Use: web.KeyUse(use), Kind: string(k.Kind), Identity: k.Identity, PublicKey: k.Public,
			Ours: len(k.Secret) > 0, CreatedAt: k.CreatedAt,
		})
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
	c, err := newCredential(k)
	if err != nil {
		return web.DeviceKeys{}, err
	}
	c.Device, c.Use, c.CreatedAt = line.ID, fleet.CredentialUse(k.Use), s.Now()
	if err := s.Keys.PutCredential(ctx, c, by.String(), k.Reason); err != nil {
		return web.DeviceKeys{}, translate(err)
	}
	s.KeyChanged(line.ID, c.Use)
	return s.keysOf(ctx, line.ID)
}

// newCredential reads the key that k is.
func newCredential(k web.NewDeviceKey) (fleet.Credential, error) {
	if k.PublicKey == "" {
		return fleet.Credential{Kind: fleet.KindPSK, Identity: k.Identity, Secret: k.Key}, nil
	}
	if k.Identity != "" || len(k.Key) > 0 {
		return fleet.Credential{}, web.Invalid("public_key", "a device has one key for a use: leave identity and key out")
	}
	spki, err := publicKey(k.PublicKey)
	if err != nil {
		return fleet.Credential{}, err
	}
	return fleet.Credential{Kind: fleet.KindRawKey, Identity: fleet.KeyIdentity(spki), Public: spki}, nil
}

// maxPublicKeyText bounds the text of a public key; one of P-384 has 215 bytes in PEM.
const maxPublicKeyText = 2048

// publicKey reads a SubjectPublicKeyInfo in PEM (RFC 7468 §13) or hexadecimal. A
// private key is refused by name, for it should not have been sent.
func publicKey(text string) ([]byte, error) {
	if len(text) > maxPublicKeyText {
		return nil, web.Invalid("public_key", "too long")
	}
	text = strings.TrimSpace(text)
	if block, rest := pem.Decode([]byte(text)); block != nil {
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, web.Invalid("public_key", "this is a private key, which nobody but the device should have")
		case block.Type != "PUBLIC KEY" || len(block.Headers) > 0 || len(strings.TrimSpace(string(rest))) > 0:
			return nil, web.Invalid("public_key", "want one PEM block PUBLIC KEY")
		}
		return block.Bytes, nil
	}
	spki, err := hex.DecodeString(strings.Join(strings.Fields(strings.ReplaceAll(text, ":", " ")), ""))
	if err != nil {
		return nil, web.Invalid("public_key", "neither PEM nor hexadecimal")
	}
	return spki, nil
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
