package app

import (
	"context"
	"time"

	"steward/est"
)

// openCA opens the CA, with the external one that makes certificates in its place if
// there is one, and what is published of it.
func (a *App) openCA(ctx context.Context, seal est.Sealer) (err error) {
	if a.upstream, err = upstream(a.cfg.Upstream, a.cfg.Retry); err != nil {
		return err
	}
	crls, err := newFactoryCRLs(a.cfg.FactoryCRLs, a.log)
	if err != nil {
		return err
	}
	a.pki = newPKI(a.dir, a.ring, a.cfg, a.db.Keys())
	if err = a.pki.open(ctx, a.cfg.CA, withRequests(a, seal, est.Options{
		Store: inventory{a.db.Inventory(), a.issued}, Passwords: a.db.Inventory(), Errands: a.db.Inventory(),
		Origins:  a.db.Inventory(),
		Upstream: a.upstream, Now: time.Now, Retry: a.cfg.Retry, Limits: a.cfg.Limits, Revoked: a.revoked,
		Journal: a.journal, Pointers: newPlaces(a.cfg).pointers(), FactoryStatus: crls.status,
	})); err != nil {
		return err
	}
	crls.listed = a.pki.ca.FactoryCAs
	if err = a.logRestored(ctx); err != nil {
		return err
	}
	a.publication, err = a.newPublication(ctx)
	return err
}
