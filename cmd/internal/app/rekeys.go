package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// maxRekeysWaiting bounds what waits to be taken over: a device repeats what it tells.
const maxRekeysWaiting = 8192

// rekeys takes over the factory certificates that devices get in place of those that
// they had, and has those re-key that come from another provider.
type rekeys struct {
	app     *App
	waiting chan rekey
}

// A rekey is a device with the factory certificate that it tells of; nil: it has come.
type rekey struct {
	device      fleet.ID
	certificate []byte
	proof       []byte // by the key before; nil: none
}

func newRekeys(a *App) *rekeys { return &rekeys{app: a, waiting: make(chan rekey, maxRekeysWaiting)} }

// sent looks at what a device sent unasked. What it tells of its factory certificate
// counts if it has proved its operational one.
func (r *rekeys) sent(e server.Event) {
	if r.app.cfg.IDs.Enrolment == 0 || !e.Certified {
		return
	}
	base, k := lwm2m.NewPath(r.app.cfg.IDs.Enrolment, 0), rekey{device: e.Device}
	for _, entry := range e.Entries {
		switch entry.Path {
		case base.Child(objects.EnrolmentFactory):
			k.certificate = entry.Value.Bytes()
		case base.Child(objects.EnrolmentFactoryProof):
			k.proof = entry.Value.Bytes()
		}
	}
	if len(k.certificate) > 0 {
		r.add(k)
	}
}

// moved looks at what became of a device that comes: twice, so that a crash between loses
// nothing.
func (r *rekeys) moved(e coordinator.Event) {
	over := e.State == string(transfer.RowFinalised) || e.State == string(transfer.RowRevokedOld)
	if e.Device != "" && e.Incoming && over {
		r.add(rekey{device: e.Device})
	}
}

// add does not block.
func (r *rekeys) add(k rekey) {
	select {
	case r.waiting <- k:
	default:
	}
}

// run takes over until ctx ends.
func (r *rekeys) run(ctx context.Context) error {
	for {
		select {
		case k := <-r.waiting:
			doing, do := "taking over a factory certificate", r.follow
			if k.certificate == nil {
				doing, do = "re-key of a device that has come", r.arrived
			}
			r.app.logError(ctx, doing, do(context.WithoutCancel(ctx), k))
		case <-ctx.Done():
			return nil
		}
	}
}

// follow goes by the new factory certificate of a device, if it has one. By the one
// before nobody has a session here from then on.
func (r *rekeys) follow(ctx context.Context, k rekey) error {
	a := r.app
	d, err := a.devices.Device(ctx, k.device)
	if err != nil || d.Factory == (fleet.Factory{}) {
		return err
	}
	_, moved, err := a.pki.ca.FollowFactory(ctx, est.Hash(d.Factory), k.certificate, k.proof)
	switch {
	case errors.Is(err, est.ErrMoving), errors.Is(err, machine.ErrNoRow), errors.Is(err, est.ErrUnknown):
		a.log.LogAttrs(ctx, slog.LevelInfo, "new factory certificate waits", slog.String("endpoint", string(d.Endpoint)),
			slog.Any("reason", err))
		return nil
	case refusesFactory(err):
		a.auditor.add(audit.Row{
			Actor: "device:" + string(d.Endpoint), Action: "factory.refuse", Subject: string(d.ID), Reason: err.Error(),
		})
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", d.Endpoint, err)
	case !moved:
		return nil
	}
	a.revoked(est.Hash(d.Factory))
	return a.enrolment.Rekeyed(ctx, d.ID)
}

// refusesFactory reports that err is about the certificate.
func refusesFactory(err error) bool {
	for _, refusal := range []error{est.ErrFactory, est.ErrName, est.ErrKey, est.ErrForbidden, est.ErrEndpoint} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// arrived has a device re-key that has come to us.
func (r *rekeys) arrived(ctx context.Context, k rekey) error {
	a := r.app
	d, err := a.devices.Device(ctx, k.device)
	if err != nil || d.Ownership != fleet.Owned || d.Factory == (fleet.Factory{}) { // it left
		return err
	}
	origin, err := a.pki.ca.KeyOrigin(ctx, est.Hash(d.Factory))
	if err != nil {
		return err
	}
	return a.enrolment.Arrived(ctx, d.ID, origin)
}
