package app

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m/coap"
	"steward/suit/rollout"
)

// UpdatesAddr returns where the HTTPS listener of updates listens.
func (a *App) UpdatesAddr() string {
	for _, s := range a.web.servers {
		if s.name == "updates" {
			return s.listener.Addr().String()
		}
	}
	return ""
}

// DB returns the database.
func (a *App) DB() *sqlite.DB { return a.db }

// IssueOperational makes an operational certificate and lists it.
func (a *App) IssueOperational(ctx context.Context, name string, key crypto.PublicKey) ([]byte, error) {
	current := a.pki.ca.Authorities()[0]
	issuer, err := est.NewIssuer(current.Signer, current.Certificate, nil)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	token, err := issuer.Prepare(est.DefaultProfiles().Operational, est.Subject{Name: name, Key: key}, now)
	if err != nil {
		return nil, err
	}
	c, err := issuer.Issue(token)
	if err != nil {
		return nil, err
	}
	return c.Raw, a.db.Inventory().Commit(ctx, est.Change{Insert: []est.Record{{
		Hash: sum(c.Raw), Issuer: current.Hash(), Serial: fmt.Sprintf("%x", c.SerialNumber),
		SPKI: sum(c.RawSubjectPublicKeyInfo), Kind: est.KindOperational, Profile: "operational", Name: name,
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), IssuedAt: now, DER: c.Raw, Version: 1,
		Status: est.StatusValid,
	}}})
}

// Rollout returns what leads campaigns.
func (a *App) Rollout() *rollout.Runner { return a.rollout }

// CA returns the provider's.
func (a *App) CA() *est.CA { return a.pki.ca }

// SUIT returns the signer of manifests, with its certificate.
func (a *App) SUIT() (crypto.Signer, []byte) { return a.pki.suit.key, a.pki.suit.cert.Raw }

// ServeUpdates is the endpoint of updates by CoAP.
func (a *App) ServeUpdates(ctx context.Context, r *coap.Request) *coap.Response {
	return a.serveUpdates(ctx, r)
}
