package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) profile() web.BootstrapProfile {
	return web.BootstrapProfile{
		Name: f.Text, Tag: f.Text, Mode: "psk", ShortID: 1, Lifetime: 300, MinPeriod: 1, MaxPeriod: 60,
		Streams: true, Objects: []web.BootstrapInstance{{
			Path: "/2/0", Values: []web.BootstrapValue{{Path: "/2/0/0", Value: 3}, {Path: "/2/0/1", Value: f.Text}},
		}},
	}
}

// BootstrapProfiles implements web.Bootstraps.
func (f *Fake) BootstrapProfiles(context.Context) ([]web.BootstrapProfile, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.BootstrapProfile{f.profile()}, nil
}

// PutBootstrapProfile implements web.Bootstraps.
func (f *Fake) PutBootstrapProfile(
	_ context.Context, by web.Actor, p web.BootstrapProfile,
) (web.BootstrapProfile, error) {
	return f.profile(), f.note("PutBootstrapProfile", by, "", p)
}

// RemoveBootstrapProfile implements web.Bootstraps.
func (f *Fake) RemoveBootstrapProfile(_ context.Context, by web.Actor, name string) error {
	return f.note("RemoveBootstrapProfile", by, "", name)
}

// DeviceKeys implements web.Bootstraps.
func (f *Fake) DeviceKeys(_ context.Context, device string) (web.DeviceKeys, error) {
	if err := f.known(device); err != nil || f.Empty {
		return web.DeviceKeys{}, err
	}
	return web.DeviceKeys{
		Keys: []web.DeviceKey{
			{Use: web.KeyBootstrap, Kind: "psk", Identity: f.Text, Ours: true, CreatedAt: Noon},
			{Use: web.KeyServer, Kind: "rawkey", Identity: f.Text, PublicKey: []byte(f.Text), CreatedAt: Noon},
		},
		Bootstrap: &web.DeviceBootstrap{
			State: "failed", Reason: f.Text, Address: f.Text, StartedAt: Noon, EndedAt: &Noon,
			Steps: []web.BootstrapStep{{Milliseconds: 7, What: f.Text, Answer: f.Text, Note: f.Text}},
		},
	}, nil
}

// PutDeviceKey implements web.Bootstraps.
func (f *Fake) PutDeviceKey(
	ctx context.Context, by web.Actor, device string, k web.NewDeviceKey,
) (web.DeviceKeys, error) {
	if err := f.note("PutDeviceKey", by, device, k); err != nil {
		return web.DeviceKeys{}, err
	}
	return f.DeviceKeys(ctx, device)
}

// RemoveDeviceKey implements web.Bootstraps.
func (f *Fake) RemoveDeviceKey(ctx context.Context, by web.Actor, device string, u web.KeyUse) (web.DeviceKeys, error) {
	if err := f.note("RemoveDeviceKey", by, device, u); err != nil {
		return web.DeviceKeys{}, err
	}
	return f.DeviceKeys(ctx, device)
}
