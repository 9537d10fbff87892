package app

import (
	"context"
	"crypto/x509"
	"encoding/json"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/keys"
	"steward/transfer"
)

// shortServerID and registrationLifetime are what our devices get in their
// account (LwM2M objects 0 and 1).
const (
	shortServerID        = 1
	registrationLifetime = 86400 // seconds
)

// home is what a device needs to know to be ours: where we are, and whom to
// trust for what. The issuing CA is pinned, not the root above it (transfer
// protocol §1, rule 4).
func (a *App) home() bundle.Provider {
	p := bundle.Provider{
		Name: a.cfg.Name, ServerURI: a.CoAPSURI(), EnrollURI: a.EnrollURI(),
		SSID: shortServerID, Lifetime: registrationLifetime,
	}
	for _, anchor := range a.anchors() {
		p.Anchors = append(p.Anchors, bundle.NewAnchor(anchor.Certificate, anchor.Purposes))
	}
	return p
}

// anchors are the certificates that our devices trust. During a roll-over there are
// two for what is rolled over: the one in use and the one that will be.
func (a *App) anchors() []transfer.OfferCertificate {
	const authority = transfer.Enrol | transfer.DM | transfer.Update | transfer.RA
	serving, current := a.pki.ca.Serving().Certificate, a.pki.ca.Certificate()
	out := []transfer.OfferCertificate{{Certificate: serving.Raw, Purposes: authority}}
	if !current.Equal(serving) {
		out = append(out, transfer.OfferCertificate{Certificate: current.Raw, Purposes: authority})
	}
	for _, s := range []struct {
		purpose keys.Name
		cert    *x509.Certificate
		as      transfer.Purposes
	}{
		{keys.SUIT, a.pki.suit.cert, transfer.SUITSigner},
		{keys.Transfer, a.pki.transfer.cert, transfer.TransferSigner},
	} {
		out = append(out, transfer.OfferCertificate{Certificate: s.cert.Raw, Purposes: s.as})
		if next := a.pki.next[s.purpose]; next != nil {
			out = append(out, transfer.OfferCertificate{Certificate: next.Raw, Purposes: s.as})
		}
	}
	if a.upstream != nil { // devices check what they get by it
		for _, c := range a.upstream.Anchors() {
			out = append(out, transfer.OfferCertificate{Certificate: c.Raw, Purposes: transfer.Enrol})
		}
	}
	return out
}

// DeviceSettings implements web.Settings.
func (a *App) DeviceSettings(context.Context) (json.RawMessage, error) {
	return json.Marshal(struct {
		bundle.Provider

		Objects bundle.ObjectIDs `json:"objects"`
	}{a.home(), bundle.ObjectIDs(a.cfg.IDs)})
}

// EnrollURI is where devices enrol: below /est, which a URI without path means.
func (a *App) EnrollURI() string { return a.CoAPSURI() }
