package est

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m/machine"
)

// Reenrol answers /sren: a new certificate for a device that proved its
// operational one, which must be good, for the same names (RFC 7030 §4.2.2) and
// the same or another key. The old one is revoked when the new one is first
// used, or after RekeyOverlap. It returns ErrRevoked and ErrExpired beside the
// errors of Enrol.
func (ca *CA) Reenrol(ctx context.Context, r Request) (Issued, error) {
	out, err := ca.reenrol(ctx, r)
	return out, ca.refused(ctx, "renew", r.Client, err)
}

func (ca *CA) reenrol(ctx context.Context, r Request) (Issued, error) {
	if !r.Client.renews() {
		return Issued{}, fmt.Errorf("%w: a %q client cannot renew", ErrForbidden, r.Client.Role)
	}
	return ca.serve(ctx, r, ca.reenrolOnce)
}

func (ca *CA) reenrolOnce(ctx context.Context, o *order) (Issued, error) {
	asked, err := ca.record(ctx, o.client.Certificate)
	if errors.Is(err, ErrUnknown) || err == nil && asked.Kind != KindOperational {
		return Issued{}, fmt.Errorf("%w: not a certificate of ours", ErrForbidden)
	}
	if err != nil {
		return Issued{}, err
	}
	if err := asked.Live(ca.now()); err != nil {
		return Issued{}, err
	}
	old, err := asked.Certificate()
	if err != nil {
		return Issued{}, fmt.Errorf("inventory: %w", err)
	}
	if err := o.csr.checkRenewal(old); err != nil {
		return Issued{}, err
	}
	if err := ca.o.Profiles.Operational.bound(o); err != nil {
		return Issued{}, err
	}
	if err := ca.uncompromised(ctx, o.csr.SPKI); err != nil {
		return Issued{}, err
	}
	if answer, ok, err := ca.renewed(ctx, o, asked.Name); ok || err != nil {
		return answer, err
	}
	if err := ca.rationed(ctx, asked.Factory, asked.Name); err != nil {
		return Issued{}, err
	}
	o.still = func(ctx context.Context) error {
		now, err := ca.o.Store.Certificate(ctx, asked.Hash)
		return unchanged(asked.Version, now.Version, err)
	}
	cert, record, err := ca.certify(ctx, o, asked.Name)
	if err != nil {
		return Issued{}, err
	}
	record.Factory, record.Client = asked.Factory, o.client.Certificate
	record.CSR, record.Supersedes = o.csr.Hash, asked.Hash
	if err := ca.renew(ctx, &asked, &record, o); err != nil {
		return Issued{}, err
	}
	return ca.answer(cert, record), nil
}

// renewed returns what the same client got for the same request.
func (ca *CA) renewed(ctx context.Context, o *order, name string) (Issued, bool, error) {
	if o.made == nil {
		return ca.stored(ctx, o.client, o.csr, name)
	}
	answer, ok, err := ca.kept(ctx, o)
	if errors.Is(err, ErrKeyGone) { // who renews still has a key: nothing is lost by another
		return Issued{}, false, nil
	}
	return answer, ok, err
}

// renew stores the new record, by the device's right if it has one.
func (ca *CA) renew(ctx context.Context, asked, issued *Record, o *order) error {
	s := step{
		issued: issued, asked: asked, actor: "device:" + asked.Name, why: "renewed" + o.how(),
		key: ca.sealed(o, issued.Hash), errands: o.errands,
	}
	if asked.Factory != (Hash{}) {
		right, err := ca.o.Store.Right(ctx, asked.Factory)
		if err != nil {
			return err
		}
		_, err = ca.advance(ctx, right, EventRenew, s)
		if errors.Is(err, machine.ErrNoRow) {
			return fmt.Errorf("%w: right is %s", ErrForbidden, right.State)
		}
		return err
	}
	ch := Change{Insert: []Record{*issued}, Key: s.key, Errands: s.errands}
	if err := ca.replace(ctx, s, &ch); err != nil {
		return err
	}
	row := ca.row("certificate.issue", issued.Hash, s.why, "", string(StatusValid))
	row.Actor = s.actor
	ch.Audit = append(ch.Audit, row)
	return ca.commit(ctx, ch)
}
