package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects"
)

// usageAnchor is the certificate usage 2 of §E.1 (DANE-TA): what stands in
// /0/x/4 is an anchor of the server's chain.
const usageAnchor = 2

// pskLength is that of keys that we make: as many bits as the cipher uses.
const pskLength = 16

func (a *App) buildBootstrap() (err error) {
	a.bootstrap, err = bootstrap.New(bootstrap.Options{
		Store: a.db.Bootstrap(), Exchanger: a.engine, Schema: a.registry, Identify: a.identifyBootstrap,
		Configure: a.configure, Finishing: a.finishing, Log: a.log,
	})
	return err
}

// identifyBootstrap says which device asks for bootstrap: one with a key for it, one
// by its factory certificate, or one that may come without security.
func (a *App) identifyBootstrap(ctx context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
	d, err := a.devices.ByEndpoint(ctx, ep)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		err = bootstrap.ErrIdentity
	case err != nil:
		return "", err
	case d.Ownership == fleet.Left:
		err = bootstrap.ErrIdentity
	case who.Role == coap.RoleNone && !d.NoSec:
		err = bootstrap.ErrUnauthorized
	case who.Role == coap.RoleNone:
		var open bool
		if open, err = a.bootsOpenly(ctx, d); open || err != nil {
			return d.ID, err
		}
		err = bootstrap.ErrUnauthorized
	case who.Role == coap.RoleFactory && fleet.Factory(who.Certificate) != d.Factory,
		who.Role == coap.RoleBootstrap && who.Name != string(ep):
		err = bootstrap.ErrIdentity
	default:
		return d.ID, nil
	}
	a.auditor.add(audit.Row{
		Actor: "device:" + who.Name, Action: "bootstrap.refuse", Subject: string(ep), Reason: err.Error(),
	})
	return "", fmt.Errorf("%w: %s as %.80q", err, who.Role, ep)
}

// bootsOpenly reports whether the profile of a device has no secret, so that it may
// be told without security.
func (a *App) bootsOpenly(ctx context.Context, d fleet.Device) (bool, error) {
	profiles, err := a.db.Bootstrap().Profiles(ctx)
	if err != nil {
		return false, err
	}
	p, ok := bootstrap.For(profiles, d.Tags)
	return ok && p.Mode == bootstrap.ModeNoSec, nil
}

// configure says what a device is to hold, by the profile for its tags.
func (a *App) configure(ctx context.Context, id fleet.ID) (bootstrap.Configuration, error) {
	d, err := a.devices.Device(ctx, id)
	if err != nil {
		return bootstrap.Configuration{}, err
	}
	profiles, err := a.db.Bootstrap().Profiles(ctx)
	if err != nil {
		return bootstrap.Configuration{}, err
	}
	p, ok := bootstrap.For(profiles, d.Tags)
	if !ok {
		return bootstrap.Configuration{}, fmt.Errorf("%w with the tags %q", bootstrap.ErrNoConfiguration, d.Tags)
	}
	security, err := a.security(ctx, d, p)
	if err != nil {
		return bootstrap.Configuration{}, err
	}
	security.ShortServer = p.Short
	own := objects.Server{ShortID: p.Short, Lifetime: int64(p.Lifetime / time.Second), Storing: true, Binding: "U"}
	switch {
	case p.Streams:
		own.Binding = "T"
	case p.Queue:
		own.Binding = "UQ"
	}
	own.MinPeriod, own.MaxPeriod = period(p.MinPeriod), period(p.MaxPeriod)
	send := false
	own.MuteSend = &send
	return bootstrap.Configuration{Accounts: []bootstrap.Account{{
		Short:    p.Short,
		Security: security.Entries(lwm2m.NewPath(objects.SecurityID, 0)),
		Server:   own.Entries(lwm2m.NewPath(objects.ServerID, 0)),
	}}, Objects: p.Objects}, nil
}

// period is nil for one that is not set.
func period(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	seconds := int64(d / time.Second)
	return &seconds
}

// security is the device's account at our LwM2M server.
func (a *App) security(ctx context.Context, d fleet.Device, p bootstrap.Profile) (objects.Security, error) {
	switch p.Mode {
	case bootstrap.ModePSK:
		key, err := a.serverKey(ctx, d, fleet.KindPSK)
		return objects.Security{
			URI: a.CoAPSURI(), Mode: objects.ModePSK, Identity: []byte(key.Identity), SecretKey: key.Secret,
		}, err
	case bootstrap.ModeRawKey:
		key, err := a.serverKey(ctx, d, fleet.KindRawKey)
		return objects.Security{
			URI: a.CoAPSURI(), Mode: objects.ModeRawKey, Identity: key.Public, SecretKey: key.Secret,
			ServerKey: a.pki.server.cert.RawSubjectPublicKeyInfo,
		}, err
	case bootstrap.ModeCertificate, bootstrap.ModeEST:
		return a.certified(ctx, d, p)
	case bootstrap.ModeNoSec:
		uri, err := a.coapURI(p.Streams)
		return objects.Security{URI: uri, Mode: objects.ModeNoSec}, err
	}
	return objects.Security{}, fmt.Errorf("%w: mode %q", bootstrap.ErrNoConfiguration, p.Mode)
}

// certified is the account of a device with a certificate: one that we make with its
// key, new at each bootstrap, or one that it is to enrol for.
func (a *App) certified(ctx context.Context, d fleet.Device, p bootstrap.Profile) (objects.Security, error) {
	usage, uri := uint8(usageAnchor), a.CoAPSURI()
	if p.Streams {
		if a.streams.tls == nil {
			return objects.Security{}, fmt.Errorf("%w: no listener for TLS (--coaps-tcp)", bootstrap.ErrNoConfiguration)
		}
		uri = "coaps+tcp://" + hostPort(a.cfg.Host, a.streams.tls.Addr())
	}
	s := objects.Security{URI: uri, Mode: objects.ModeEST, ServerKey: a.anchor(), Usage: &usage}
	if p.Mode == bootstrap.ModeEST {
		return s, nil
	}
	made, err := a.pki.ca.As(systemActor).Deliver(ctx, string(d.Endpoint), est.Hash(d.Factory))
	if err != nil {
		return s, fmt.Errorf("%w: %w", bootstrap.ErrNoConfiguration, err)
	}
	s.Mode, s.Identity, s.SecretKey = objects.ModeCertificate, made.DER, made.Key
	return s, nil
}

// serverKey returns the device's key of a kind, made at its first bootstrap: a
// device that lost our last answer gets the same again. A key of the other kind that
// we could give out makes room; one that only the device has stays.
func (a *App) serverKey(ctx context.Context, d fleet.Device, kind fleet.CredentialKind) (fleet.Credential, error) {
	former, err := a.keys.CredentialOf(ctx, d.ID, fleet.UseServer)
	switch {
	case errors.Is(err, fleet.ErrNoCredential):
	case err != nil:
		return fleet.Credential{}, err
	case len(former.Secret) == 0:
		return fleet.Credential{}, fmt.Errorf("%w: only the device has its private key: remove the public key to have "+
			"a key made", bootstrap.ErrNoConfiguration)
	case former.Kind == kind:
		return former, nil
	}
	key, err := newKey(d.ID, kind)
	if err != nil {
		return fleet.Credential{}, err
	}
	key.Device, key.Use, key.CreatedAt = d.ID, fleet.UseServer, a.now()
	if err := a.keys.PutCredential(ctx, key, systemActor, "bootstrap"); err != nil {
		return fleet.Credential{}, err
	}
	if former.Kind != "" {
		a.endSessions(d, fleet.UseServer)
	}
	return key, nil
}

// newKey makes a key for a device.
func newKey(id fleet.ID, kind fleet.CredentialKind) (fleet.Credential, error) {
	if kind == fleet.KindRawKey {
		return fleet.NewRawKey()
	}
	key := fleet.Credential{Kind: kind, Identity: string(id), Secret: make([]byte, pskLength)}
	_, _ = rand.Read(key.Secret) // never fails
	return key, nil
}

// anchor is the CA that issued our server's certificate, DER.
func (a *App) anchor() []byte { return slices.Clone(a.pki.ca.Serving().Certificate.Raw) }

// coapURI is where devices without security are sent to; only devices that an
// operator marked are served there.
func (a *App) coapURI(streams bool) (string, error) {
	if streams {
		if a.streams.tcp == nil {
			return "", fmt.Errorf("%w: no listener for TCP (--coap-tcp)", bootstrap.ErrNoConfiguration)
		}
		return "coap+tcp://" + hostPort(a.cfg.Host, a.streams.tcp.Addr()), nil
	}
	if a.coap == nil {
		return "", fmt.Errorf("%w: no listener without security (--coap)", bootstrap.ErrNoConfiguration)
	}
	return "coap://" + hostPort(a.cfg.Host, a.coap.Addr()), nil
}

// keyChanged ends the sessions by a device's former key.
func (a *App) keyChanged(id fleet.ID, use fleet.CredentialUse) {
	ctx := context.Background()
	d, err := a.devices.Device(ctx, id)
	if err != nil {
		a.logError(ctx, "sessions by a former key", err)
		return
	}
	a.endSessions(d, use)
}

// endSessions ends the sessions of a device by its key for a use.
func (a *App) endSessions(d fleet.Device, use fleet.CredentialUse) {
	a.drop(func(who coap.Identity) bool {
		return useOf(who.Role) == use && who.Name == string(d.Endpoint)
	})
}

// useOf is what a class of keys is for; "" for the classes of certificates.
func useOf(r coap.Role) fleet.CredentialUse {
	switch r {
	case coap.RolePSK, coap.RoleRawKey:
		return fleet.UseServer
	case coap.RoleBootstrap:
		return fleet.UseBootstrap
	default:
		return ""
	}
}
