package coordinator

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// former returns the device that has the name in a factory certificate. One that left
// us may have got another key since (transfer protocol §6): the certificate must be of
// the CA that had issued the one that we know, and not older. It returns
// fleet.ErrUnknown if no device has the name, and fleet.ErrConflict if another has it.
func (c *Coordinator) former(ctx context.Context, leaf *x509.Certificate) (fleet.Device, error) {
	d, err := c.o.Fleet.ByEndpoint(ctx, lwm2m.Endpoint(leaf.Subject.CommonName))
	if err != nil || d.Factory == fleet.Factory(transfer.HashOf(leaf.Raw)) {
		return d, err
	}
	conflict := fmt.Errorf("%w: %s", fleet.ErrConflict, d.Endpoint)
	if d.Ownership != fleet.Left {
		return d, conflict
	}
	right, err := c.o.CA.Right(ctx, est.Hash(d.Factory))
	if err != nil || right.State != est.RightDeleted {
		return d, conflict
	}
	old, err := x509.ParseCertificate(right.FactoryDER)
	if err != nil || !bytes.Equal(old.RawSubject, leaf.RawSubject) || !bytes.Equal(old.RawIssuer, leaf.RawIssuer) ||
		!bytes.Equal(old.AuthorityKeyId, leaf.AuthorityKeyId) || leaf.NotBefore.Before(old.NotBefore) {
		return d, conflict
	}
	return d, nil
}

// comesBack is former for the device of a row, which goes by its new factory
// certificate from now on.
func (c *Coordinator) comesBack(ctx context.Context, r Row) (fleet.Device, error) {
	leaf, err := r.certificate()
	if err != nil {
		return fleet.Device{}, err
	}
	d, err := c.former(ctx, leaf)
	d.Factory = r.Factory
	return d, err
}
