package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/remote"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// sessions is what transfers do with the associations of devices
// (coordinator.Sessions).
type sessions struct{ app *App }

// ReadFactory implements coordinator.Sessions.
func (s sessions) ReadFactory(ctx context.Context, f fleet.Factory, p lwm2m.Path) ([]lwm2m.Entry, error) {
	entries, err := s.app.readFactory(ctx, f, p)
	switch {
	case err == nil:
		return entries, nil
	case errors.Is(err, errFactoryRefused):
		return nil, fmt.Errorf("%w: %w", coordinator.ErrRefused, err)
	default:
		return nil, fmt.Errorf("%w: %w", coordinator.ErrUnreachable, err)
	}
}

// Dismiss implements coordinator.Sessions.
func (s sessions) Dismiss(ctx context.Context, id fleet.ID, reason string) error {
	d, err := s.app.devices.Device(ctx, id)
	if err != nil {
		return err
	}
	if err := s.app.server.Dismiss(ctx, id, reason); err != nil {
		return err
	}
	right, err := s.app.pki.ca.Right(ctx, est.Hash(d.Factory))
	if err != nil && !errors.Is(err, est.ErrUnknown) {
		return err
	}
	s.app.drop(dismissed(d, right.State == est.RightDeleted))
	return nil
}

// dismissed says which associations end with a device's registration: those by
// its operational certificates and its keys for LwM2M and, if it has no right here any
// more, those by its factory certificate and its key for bootstrap, whoever holds
// them. A device that moves may yet return over one.
func dismissed(d fleet.Device, forGood bool) func(coap.Identity) bool {
	return func(who coap.Identity) bool {
		switch who.Role {
		case coap.RoleOperational, coap.RolePSK, coap.RoleRawKey:
			return who.Name == string(d.Endpoint)
		case coap.RoleBootstrap:
			return forGood && who.Name == string(d.Endpoint)
		case coap.RoleFactory:
			return forGood && fleet.Factory(who.Certificate) == d.Factory
		default:
			return false
		}
	}
}

// buildTransfers makes the coordinator of both kinds of transfers.
func (a *App) buildTransfers(ctx context.Context) error {
	if a.servesPeers() {
		if err := a.web.bind(ctx, peerListener, a.cfg.Peer); err != nil {
			return err
		}
	}
	peers, err := remote.NewPeers(remote.PeersOptions{
		Certificate: a.peerCertificate(), Name: a.cfg.Name, Seen: a.seenPartner,
	})
	if err != nil {
		return err
	}
	serving := a.pki.ca.Serving() // whom partners know
	a.transfers, err = coordinator.New(coordinator.Options{
		Name: a.cfg.Name, Store: a.db.Transfers(), CA: a.pki.ca.As(systemActor),
		Devices: newTransferDevices(a.server), Sessions: sessions{a}, Fleet: a.devices, Peers: peers, Audit: a.auditor,
		Signer:       transfer.Signer{Key: a.pki.transfer.key, Certificate: a.pki.transfer.cert.Raw},
		StatusSigner: transfer.Signer{Key: serving.Signer, Certificate: serving.Certificate.Raw},
		Domain:       a.domain(), PeerURI: a.peerURI(), TLS: a.pki.peer.cert.Raw, NewID: newULID,
		NextTLS: a.pki.nextDER(keys.Peer), NextSigning: a.pki.nextDER(keys.Transfer),
		InfoCOSE: a.cfg.InfoCOSE, Verifier: a.pki.attest.cert.Raw, Attesters: attesters{a}, Verdicts: a.verifier,
		Updates:   lastUpdates{a},
		Manifests: a.manifests, Brought: a.brought, Objects: a.cfg.IDs, Log: a.log, Poll: a.cfg.Poll,
		ReviseWait: revisePolls * a.cfg.Poll,
		Changed: func(e coordinator.Event) {
			a.hub.Transfer(e)
			a.rekeys.moved(e)
		},
		People: a.approvers(web.RoleAdmin), Member: a.member,
	})
	return err
}

// revisePolls is for how many polls devices that were updated are collected before the
// partner is told anew what they run.
const revisePolls = 30

// seenPartner tells that a partner shows its next key.
func (a *App) seenPartner(ctx context.Context, id string, tls [32]byte) error {
	return a.transfers.Seen(ctx, id, tls)
}

// member reports whether a device is in a group, for mandates.
func (a *App) member(ctx context.Context, group string, id fleet.ID) (bool, error) {
	in, err := a.groups.Contains(ctx, group, string(id))
	if errors.Is(err, web.ErrNotFound) {
		return false, nil // there is no such group
	}
	return in, err
}

// manifests tells a partner what a device runs (ManifestRef).
func (a *App) manifests(ctx context.Context, id fleet.ID) ([]transfer.ManifestRef, error) {
	installed, err := a.db.Rollout().InForce(ctx, id)
	if err != nil {
		return nil, err
	}
	refs := make([]transfer.ManifestRef, 0, len(installed))
	for _, i := range installed {
		refs = append(refs, transfer.ManifestRef{
			Digest:   transfer.CertHash{Alg: int64(i.Digest.Algorithm), Value: i.Digest.Value},
			Sequence: i.Sequence,
		})
	}
	return refs, nil
}

// brought notes what a device runs that comes to us.
func (a *App) brought(ctx context.Context, id fleet.ID, refs []transfer.ManifestRef, actor string) error {
	all := make([]rollout.Installed, 0, len(refs))
	for _, r := range refs {
		all = append(all, rollout.Installed{
			Digest:   suit.Digest{Algorithm: suit.DigestAlgorithm(r.Digest.Alg), Value: r.Digest.Value},
			Sequence: r.Sequence,
		})
	}
	return a.db.Rollout().AddInstalled(ctx, id, all, actor)
}

// enrolled tells the coordinator about the answer to a /sen.
func (a *App) enrolled(r *coap.Request, res *coap.Response) {
	factory := fleet.Factory(r.Peer.Identity().Certificate)
	if res.Code.IsSuccess() {
		a.transfers.Enrolled(factory)
		return
	}
	read := est.ParseCSR
	if a.cfg.C509.Requests(r) {
		read = est.ParseC509
	}
	csr, err := read(r.Payload)
	if err != nil {
		return // refused for that very reason
	}
	a.transfers.FactoryContact(factory, transfer.Hash(csr.SPKI))
}

// domain is where devices that come to us will belong.
func (a *App) domain() coordinator.Domain {
	return coordinator.Domain{
		ServerURI: a.CoAPSURI(), EnrollURI: a.EnrollURI(), UpdateURI: a.CoAPSURI() + "/update", RAURI: a.raURI(),
		Account: transfer.Account{SSID: shortServerID, Lifetime: registrationLifetime},
		Grace:   a.cfg.Grace, Anchors: a.anchors(),
	}
}

// peerCertificate is what we show to partners, as client and as server.
func (a *App) peerCertificate() tls.Certificate {
	return tls.Certificate{
		Certificate: [][]byte{a.pki.peer.cert.Raw}, PrivateKey: a.pki.peer.key, Leaf: a.pki.peer.cert,
	}
}

// peerListener is the name of the listener of other providers.
const peerListener = "peer"

// servesPeers reports whether there is one.
func (a *App) servesPeers() bool { return a.cfg.Peer != "" && a.cfg.HandOver }

// peerURI is where partners reach us, with the port that was bound; "" if the listener is off.
func (a *App) peerURI() string {
	switch bound := a.web.bound[peerListener]; {
	case a.cfg.Peer == "":
		return ""
	case bound != nil:
		return "https://" + joinPort(a.cfg.Host, bound.Addr().String())
	}
	return "https://" + joinPort(a.cfg.Host, a.cfg.Peer)
}

// joinPort joins a host with the port of an address to listen on, which config has
// validated.
func joinPort(host, listen string) string {
	_, port, _ := net.SplitHostPort(listen)
	return net.JoinHostPort(host, port)
}
