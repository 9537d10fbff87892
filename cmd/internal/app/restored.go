package app

import (
	"context"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// maxReturned bounds the devices that wait to be welcomed back. One that finds
// no room gets its observations with its next Update.
const maxReturned = 8192

// rejudge says whether a device may keep the association that it had before we
// were restarted: its certificate may have been revoked since, or have expired.
func (a *App) rejudge(who coap.Identity) error {
	switch who.Role {
	case coap.RoleOperational:
	case coap.RolePSK, coap.RoleRawKey:
		return a.rejudgeKey(context.Background(), who)
	default:
		return fmt.Errorf("associations of the class %q are not kept", who.Role)
	}
	c := &credentials{ca: a.pki.ca, devices: a.devices, naming: a.cfg.Naming}
	return c.stands(context.Background(), who, a.now())
}

// stands says whether an operational certificate is good, and stands for the name that
// it stood for before we were restarted: the rule for names may be another now.
func (c *credentials) stands(ctx context.Context, who coap.Identity, now time.Time) error {
	r, err := c.ca.LiveRecord(ctx, who.Certificate, now)
	if err != nil {
		return err
	}
	name, err := c.nameOf(ctx, est.Client{Name: r.Name, Factory: r.Factory}, r.DER)
	if err == nil && name != who.Name {
		err = fmt.Errorf("%w: %q is %q now", fleet.ErrNameless, who.Name, name)
	}
	return err
}

// rejudgeKey is rejudge for keys: the device must still have one of the kind, and
// the same raw public key.
func (a *App) rejudgeKey(ctx context.Context, who coap.Identity) error {
	d, err := a.devices.ByEndpoint(ctx, lwm2m.Endpoint(who.Name))
	if err != nil {
		return err
	}
	k, err := a.keys.CredentialOf(ctx, d.ID, fleet.UseServer)
	switch {
	case err != nil:
		return err
	case (who.Role == coap.RoleRawKey) != (k.Kind == fleet.KindRawKey),
		who.Role == coap.RoleRawKey && who.Certificate != sum(k.Public):
		return fmt.Errorf("%w: the key of %s is another now", fleet.ErrNoCredential, d.Endpoint)
	}
	return nil
}

// find returns the association that a device has had since before we were
// restarted.
func (a *App) find(ep lwm2m.Endpoint) (coap.Peer, bool) { return a.coaps.Restored(string(ep)) }

// woke is told of the first message of a restored association.
func (a *App) woke(p coap.Peer) {
	select {
	case a.returned <- p:
	default:
	}
}

// welcome makes devices that woke known to the LwM2M server.
func (a *App) welcome(ctx context.Context) error {
	for {
		select {
		case p := <-a.returned:
			a.logError(ctx, "device back over a restored association", a.server.Returned(ctx, p))
		case <-ctx.Done():
			return nil
		}
	}
}
