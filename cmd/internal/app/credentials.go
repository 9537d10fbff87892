package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"steward/cmd/internal/config"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

func sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// credentials are what the coaps endpoint proves and demands. It implements
// dtls.Credentials, dtls.RawKeys, dtls.Recaller and dtls.Resumer.
type credentials struct {
	ca      *est.CA
	grace   time.Duration // of certificates that ended, for renewal
	cert    *tls.Certificate
	named   map[string]*tls.Certificate // by names that clients ask for
	devices fleet.Store
	keys    holders
	known   standings
	naming  fleet.Naming
}

// standings remember operational certificates (sqlite.Inventory.Standing).
type standings interface {
	Standing(leaf est.Hash, now time.Time) (name string, ok bool)
}

// holders know whose keys are (sqlite.Credentials.Holder).
type holders interface {
	Holder(ctx context.Context, kind fleet.CredentialKind, identity string) (fleet.Credential, fleet.Device, error)
}

// newCredentials serves our own certificate, except to clients that ask for a name
// that another is for: the client checks the name. It returns ErrPKI for a file
// that cannot be used.
func (a *App) newCredentials(list []config.ServerCertificate) (*credentials, error) {
	p := a.pki
	cert := &tls.Certificate{Certificate: p.deviceChain(p.server.cert), PrivateKey: p.server.key, Leaf: p.server.cert}
	c := &credentials{
		ca: p.ca, grace: a.cfg.ExpiredGrace, cert: cert, devices: a.devices, keys: a.keys, known: a.db.Inventory(),
		naming: a.cfg.Naming, named: map[string]*tls.Certificate{},
	}
	for _, s := range list {
		other, err := loadServerCertificate(s)
		if err != nil {
			return nil, err
		}
		c.named[s.Name] = other
	}
	return c, nil
}

// loadServerCertificate reads a chain and its key. It must be for the name, or no
// client would accept it, and of the one curve that every device of LwM2M knows.
func loadServerCertificate(s config.ServerCertificate) (*tls.Certificate, error) {
	if info, err := os.Stat(s.Key); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s can be read by others (mode %o)", ErrPKI, s.Key, info.Mode().Perm())
	}
	cert, err := tls.LoadX509KeyPair(s.Chain, s.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: server certificate of %s: %w", ErrPKI, s.Name, err)
	}
	if err := cert.Leaf.VerifyHostname(s.Name); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPKI, s.Chain, err)
	}
	if key, ok := cert.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: %s: a key of the curve P-256 is needed", ErrPKI, s.Key)
	}
	return &cert, nil
}

// Certificate implements dtls.Credentials.
func (c *credentials) Certificate(name string) (*tls.Certificate, error) {
	if cert := c.named[strings.TrimSuffix(strings.ToLower(name), ".")]; cert != nil {
		return cert, nil
	}
	return c.cert, nil
}

// PSK implements dtls.Credentials.
func (c *credentials) PSK(identity []byte) ([]byte, error) {
	k, _, err := c.keys.Holder(context.Background(), fleet.KindPSK, string(identity))
	if errors.Is(err, fleet.ErrNoCredential) {
		return nil, dtls.ErrUnknownIdentity
	}
	return k.Secret, err
}

// IdentifyKey implements dtls.RawKeys: a raw public key is known or it is nobody's.
func (c *credentials) IdentifyKey(spki []byte) (coap.Identity, error) {
	id := fleet.KeyIdentity(spki)
	who, err := c.ofKey(fleet.KindRawKey, id)
	if errors.Is(err, dtls.ErrUnknownIdentity) {
		return coap.Identity{}, fmt.Errorf("%w: nobody has the raw public key %s", fleet.ErrNoCredential, id)
	}
	who.Certificate = sum(spki)
	if who.Role == coap.RolePSK {
		who.Role = coap.RoleRawKey
	}
	return who, err
}

// ofKey says whose a key is: the name is that of the device, whatever the identity
// of the key.
func (c *credentials) ofKey(kind fleet.CredentialKind, identity string) (coap.Identity, error) {
	k, d, err := c.keys.Holder(context.Background(), kind, identity)
	if errors.Is(err, fleet.ErrNoCredential) {
		return coap.Identity{}, dtls.ErrUnknownIdentity
	}
	if err != nil {
		return coap.Identity{}, err
	}
	if d.Ownership == fleet.Left {
		return coap.Identity{}, fmt.Errorf("%s was handed over to another provider", d.Endpoint)
	}
	role := coap.RolePSK
	if k.Use == fleet.UseBootstrap {
		role = coap.RoleBootstrap
	}
	return coap.Identity{Role: role, Name: string(d.Endpoint)}, nil
}

// Identify implements dtls.Credentials: our inventory and our rights decide.
func (c *credentials) Identify(chain [][]byte, pskIdentity []byte) (coap.Identity, error) {
	if len(chain) == 0 {
		return c.ofKey(fleet.KindPSK, string(pskIdentity))
	}
	who, err := c.ofChain(context.Background(), chain)
	if errors.Is(err, est.ErrExpired) && c.grace > 0 {
		var late est.Client
		if late, err = c.ca.IdentifyExpired(context.Background(), chain, c.grace); err == nil {
			who = coap.Identity{Role: coap.RoleExpired, Name: late.Name, Certificate: late.Certificate}
		}
	}
	return who, err
}

// ofChain says whose a certificate is.
func (c *credentials) ofChain(ctx context.Context, chain [][]byte) (coap.Identity, error) {
	if len(chain) == 0 {
		return coap.Identity{}, dtls.ErrUnknownIdentity
	}
	client, err := c.ca.Identify(ctx, chain)
	if err != nil {
		return coap.Identity{}, err
	}
	if client.Role != est.RoleOperational { // its name was found when its right was given
		return coap.Identity{Role: coap.RoleFactory, Name: client.Name, Certificate: client.Certificate}, nil
	}
	name, err := c.nameOf(ctx, client, chain[0])
	return coap.Identity{Role: coap.RoleOperational, Name: name, Certificate: client.Certificate}, err
}

// nameOf returns the name that an operational certificate stands for. Where that is
// not its common name, it must be the name of the very device that it was issued to:
// what else a certificate says, its owner may have asked for.
func (c *credentials) nameOf(ctx context.Context, client est.Client, der []byte) (string, error) {
	if c.naming.Plain() {
		return client.Name, nil
	}
	if given, err := c.givenName(ctx, client); given || err != nil {
		return client.Name, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("%w: %w", fleet.ErrNameless, err)
	}
	ep, err := c.naming.Endpoint(leaf)
	if err != nil || string(ep) == client.Name {
		return string(ep), err
	}
	d, err := c.devices.ByEndpoint(ctx, ep)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", fleet.ErrNameless, ep, err)
	}
	if client.Factory != (est.Hash{}) && client.Factory != est.Hash(d.Factory) {
		return "", fmt.Errorf("%w: %q is another device than %q, to which the certificate was issued",
			fleet.ErrNameless, ep, client.Name)
	}
	return string(ep), nil
}

// givenName reports whether the name of a client was given to it with its right, by
// which its certificate was issued: the rule has had its say then.
func (c *credentials) givenName(ctx context.Context, client est.Client) (bool, error) {
	if client.Factory == (est.Hash{}) {
		return false, nil
	}
	d, err := c.devices.ByEndpoint(ctx, lwm2m.Endpoint(client.Name))
	if errors.Is(err, fleet.ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if d.Factory == (fleet.Factory{}) {
		return client.Factory == est.BootstrapRight(client.Name), nil
	}
	return client.Factory == est.Hash(d.Factory), nil
}

// Recall implements dtls.Recaller: operational certificates that were good when they
// were last read, and have not been changed since. Names that stand elsewhere than in
// the inventory are read each time.
func (c *credentials) Recall(leaf [sha256.Size]byte) (coap.Identity, bool) {
	name, ok := c.known.Standing(leaf, time.Now())
	if !ok || !c.naming.Plain() {
		return coap.Identity{}, false
	}
	return coap.Identity{Role: coap.RoleOperational, Name: name, Certificate: leaf}, true
}

// Resume implements dtls.Resumer: operational certificates that are still good. The
// others show themselves each time.
func (c *credentials) Resume(who coap.Identity) error {
	if who.Role != coap.RoleOperational {
		return fmt.Errorf("%w: sessions of the class %q are not resumed", dtls.ErrRefused, who.Role)
	}
	return c.ca.Live(context.Background(), who.Certificate, time.Now())
}

// refused audits a handshake that was refused.
func (a *App) refused(addr netip.AddrPort, reason error) {
	a.auditor.add(audit.Row{
		Actor: "address:" + addr.String(), Action: "handshake.refuse", Subject: addr.Addr().String(),
		Reason: reason.Error(),
	})
}

// identify says which device registers (server.Options.Identify). An operational
// certificate speaks for its own name only; without security, only devices that
// an operator marked may come.
func (a *App) identify(ctx context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
	d, err := a.db.Devices().Standing(ctx, ep)
	if err != nil && !errors.Is(err, fleet.ErrUnknown) {
		return "", err
	}
	known := err == nil
	if who.Role == coap.RoleNone && !known && a.cfg.AllowNoSec {
		return a.admitNoSec(ctx, ep)
	}
	if err := mayRegister(who, ep, d, known); err != nil {
		return "", a.refuseRegister(ctx, who, ep, err)
	}
	if d.Ownership == fleet.Expected {
		return d.ID, a.own(ctx, d.ID)
	}
	return d.ID, nil
}

// own makes a device ours that was expected and is here now.
func (a *App) own(ctx context.Context, id fleet.ID) error {
	d, err := a.devices.Device(ctx, id)
	if err != nil {
		return err
	}
	d.Ownership = fleet.Owned
	return a.devices.Put(ctx, d, "device:"+string(d.Endpoint), "first registration")
}

// mayRegister returns why an association may not register d, the device called
// ep; nil if it may.
func mayRegister(who coap.Identity, ep lwm2m.Endpoint, d fleet.Device, known bool) error {
	switch {
	case bound(who) && who.Name != string(ep):
		return server.ErrIdentity
	case bound(who) && known && d.Ownership != fleet.Left:
		return nil
	case who.Role == coap.RoleNone && known && d.NoSec:
		return nil
	case who.Role == coap.RoleNone:
		return server.ErrUnauthorized
	default:
		return server.ErrForbidden
	}
}

// bound reports whether an identity speaks for one name.
func bound(who coap.Identity) bool {
	return who.Role == coap.RoleOperational || who.Role == coap.RolePSK || who.Role == coap.RoleRawKey
}

// admitNoSec makes a device of an endpoint that came without security, where the
// operator allowed that.
func (a *App) admitNoSec(ctx context.Context, ep lwm2m.Endpoint) (fleet.ID, error) {
	d := fleet.Device{ID: newID(), Endpoint: ep, Ownership: fleet.Owned, NoSec: true, CreatedAt: a.now()}
	return d.ID, a.devices.Put(ctx, d, "device:"+string(ep), "registered without security, as --allow-nosec allows")
}

func (a *App) refuseRegister(_ context.Context, who coap.Identity, ep lwm2m.Endpoint, err error) error {
	a.auditor.add(audit.Row{
		Actor: "device:" + who.Name, Action: "registration.refuse", Subject: string(ep), Reason: err.Error(),
	})
	return fmt.Errorf("%w: %s as %.80q", err, who.Role, ep)
}
