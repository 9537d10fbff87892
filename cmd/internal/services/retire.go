package services

import (
	"context"
	"errors"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m/fleet"
	"steward/web"
)

// RetireDevice implements web.Devices. What is done first can be done again, and the
// ownership is the last: after a crash it is asked for once more.
func (s *devices) RetireDevice(ctx context.Context, by web.Actor, id string, why string) (web.Device, error) {
	if why == "" {
		return web.Device{}, web.Invalid("reason", "say why")
	}
	if err := checkText("reason", why, maxReason); err != nil {
		return web.Device{}, err
	}
	l, err := s.find(ctx, id)
	if err != nil {
		return web.Device{}, err
	}
	if l.Ownership == fleet.Left {
		return web.Device{}, conflict("the device is not ours any more")
	}
	if l.Factory != (fleet.Factory{}) {
		if err := s.endRights(ctx, by, l); err != nil {
			return web.Device{}, err
		}
	}
	if s.Keys != nil {
		for _, use := range []fleet.CredentialUse{fleet.UseServer, fleet.UseBootstrap} {
			if err := s.Keys.RemoveCredential(ctx, l.ID, use, by.String(), why); err != nil {
				return web.Device{}, translate(err)
			}
			s.KeyChanged(l.ID, use)
		}
	}
	d := l.Device
	d.Ownership, d.NoSec = fleet.Left, false
	if err := s.DB.Devices().Put(ctx, d, by.String(), why); err != nil {
		return web.Device{}, translate(err)
	}
	ctx = context.WithoutCancel(ctx) // it is done; what follows must not depend on who waits
	if err := s.Server.Dismiss(ctx, l.ID, "retired"); err != nil {
		return web.Device{}, translate(err)
	}
	l, err = s.find(ctx, string(l.ID))
	return showDevice(l, s.Now()), err
}

// endRights deletes a device's right to enrol and revokes its certificates, unless a
// hand-over is under way.
func (s *devices) endRights(ctx context.Context, by web.Actor, l sqlite.DeviceLine) error {
	rows, err := s.view.TransfersOf(ctx, l.Factory, detailRows)
	if err != nil {
		return translate(err)
	}
	for _, r := range rows {
		if !r.Ended() {
			return conflict("a hand-over of the device is under way: " + r.Transfer)
		}
	}
	live, err := s.view.Certificates(ctx, sqlite.CertificateQuery{
		State: string(web.CertificateLive), Factory: est.Hash(l.Factory), Now: s.Now(), Limit: detailRows,
	})
	if err != nil {
		return translate(err)
	}
	_, err = s.CA.As(by.String()).DeleteRight(ctx, est.Hash(l.Factory), est.CessationOfOperation)
	if err != nil && !errors.Is(err, est.ErrUnknown) {
		return translate(err)
	}
	for _, c := range live {
		s.Dropped(c.Hash, l.ID)
	}
	return nil
}
