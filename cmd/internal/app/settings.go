package app

import (
	"context"
	"encoding/json"

	"steward/cmd/internal/bundle"
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

// anchors are the certificates that our devices trust.
func (a *App) anchors() []transfer.OfferCertificate {
	return []transfer.OfferCertificate{
		{Certificate: a.pki.ca.Certificate().Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update},
		{Certificate: a.pki.suit.cert.Raw, Purposes: transfer.SUITSigner},
		{Certificate: a.pki.transfer.cert.Raw, Purposes: transfer.TransferSigner},
	}
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
