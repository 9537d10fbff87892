package app

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit/rollout"
)

// buildUpdates makes what collects reports, the endpoint from which devices fetch,
// and its HTTPS listener if there is to be one.
func (a *App) buildUpdates(ctx context.Context) (err error) {
	a.reporter, err = rollout.NewReporter(rollout.ReporterOptions{
		Store: a.db.Rollout(), Releases: a.db.Rollout(), Current: a.currentRelease, Who: a.deviceOf,
		Log: a.log, Changed: a.updatedFirst,
	})
	if err != nil {
		return err
	}
	budgets := rollout.NewBudgets(a.cfg.UpdateRate)
	a.updates = &rollout.Endpoint{
		Payloads: rollout.NewPayloads(a.db.Rollout(), 0), Grants: rollout.NewGrants(a.mayFetch),
		Sealed: rollout.NewGrants(a.mayFetchSealed), Budgets: budgets,
		Log: a.log,
	}
	if a.cfg.Updates == "" {
		return nil
	}
	proof, err := a.newCredentials(nil)
	if err != nil {
		return err
	}
	identify := func(r *http.Request) (coap.Identity, error) {
		var chain [][]byte
		for _, c := range r.TLS.PeerCertificates {
			chain = append(chain, c.Raw)
		}
		return proof.ofChain(r.Context(), chain)
	}
	return a.web.add(ctx, "updates", a.cfg.Updates, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*proof.cert},
		// The inventory and the rights decide at each request, not a pool of roots.
		ClientAuth: tls.RequireAnyClientCert,
	}, a.updates.HTTP(identify), a.log)
}

// serveUpdates is the endpoint by CoAP: what devices fetch and what they report.
func (a *App) serveUpdates(ctx context.Context, r *coap.Request) *coap.Response {
	switch {
	case len(r.Path) == 1:
		return a.updateFirst(ctx, r)
	case len(r.Path) == 2 && r.Path[1] == rollout.SegmentReport:
		return a.reporter.ServeCoAP(ctx, r)
	}
	return a.updates.ServeCoAP(ctx, r)
}

// newCourier makes what leads devices through updates.
func (a *App) newCourier() (*rollout.Courier, error) {
	return rollout.NewCourier(rollout.CourierOptions{
		Releases: a.db.Rollout(), Payloads: a.updates.Payloads, Budgets: a.updates.Budgets,
		Devices: newUpdateDevices(a.server), Installed: a.db.Rollout().Installed, Told: a.reporter.Told,
		URI: a.envelopeURI,
	})
}

// updated tells pages of a job, and transfers that a device may run something else now.
func (a *App) updated(j rollout.Job) {
	a.hub.Job(j)
	if j.State.Over() {
		a.transfers.Wake(j.Device)
	}
}

// currentRelease is what a device is given now.
func (a *App) currentRelease(ctx context.Context, id fleet.ID) (rollout.Release, error) {
	j, err := a.db.Rollout().OfDevice(ctx, id)
	if err != nil {
		return rollout.Release{}, err
	}
	c, err := a.db.Rollout().Campaign(ctx, j.Campaign)
	if err != nil {
		return rollout.Release{}, err
	}
	return a.db.Rollout().Release(ctx, c.Release)
}

// deviceOf says which device an association is, or rollout.ErrUnknown.
func (a *App) deviceOf(ctx context.Context, who coap.Identity) (fleet.ID, error) {
	var d fleet.Device
	err := fleet.ErrUnknown
	switch who.Role {
	case coap.RoleOperational, coap.RolePSK, coap.RoleRawKey:
		d, err = a.devices.ByEndpoint(ctx, lwm2m.Endpoint(who.Name))
	case coap.RoleFactory:
		d, err = a.devices.ByFactory(ctx, fleet.Factory(who.Certificate))
	default:
	}
	if errors.Is(err, fleet.ErrUnknown) {
		return "", rollout.ErrUnknown
	}
	return d.ID, err
}

// mayFetch says who may fetch a release: a device whose update brings it, or that comes
// and was told of it before it enrols.
func (a *App) mayFetch(ctx context.Context, who coap.Identity, release string) (rollout.Grant, error) {
	if who.Role == coap.RoleFactory {
		g, over, err := a.mayFetchFirst(ctx, fleet.Factory(who.Certificate), release)
		if over || err != nil {
			return g, err
		}
	}
	id, err := a.deviceOf(ctx, who)
	if errors.Is(err, rollout.ErrUnknown) {
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	if err != nil {
		return rollout.Grant{}, err
	}
	j, err := a.db.Rollout().OfDevice(ctx, id)
	if errors.Is(err, rollout.ErrUnknown) {
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	if err != nil {
		return rollout.Grant{}, err
	}
	c, err := a.db.Rollout().Campaign(ctx, j.Campaign)
	if err != nil {
		return rollout.Grant{}, err
	}
	if c.Release != release {
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	return rollout.Grant{Device: id, Campaign: c.ID, BytesPerSecond: c.Plan.Rates.BytesPerSecond}, nil
}

// envelopeURI is where a device that fetches by those protocols finds an envelope: by
// CoAP, unless it knows HTTPS only.
func (a *App) envelopeURI(release string, by []objects.FirmwareProtocol) string {
	if a.cfg.Updates != "" && slices.Contains(by, objects.ProtocolHTTPS) && !slices.Contains(by, objects.ProtocolCoAPS) {
		return rollout.EnvelopeURI(a.updatesURI(), release)
	}
	return rollout.EnvelopeURI(a.CoAPSURI(), release)
}

// updatesURI is where devices reach the HTTPS listener of updates.
func (a *App) updatesURI() string { return "https://" + joinPort(a.cfg.Host, a.cfg.Updates) }
