package services

import (
	"context"
	"errors"
	"slices"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m/fleet"
	"steward/web"
)

// RetireDevice implements web.Devices. What is done first can be done again, and the
// ownership is the last: after a crash it is asked for once more.
func (s *devices) RetireDevice(ctx context.Context, by web.Actor, id string, r web.Retirement) (web.Device, error) {
	if r.Reason == "" {
		return web.Device{}, web.Invalid("reason", "say why")
	}
	if err := checkText("reason", r.Reason, maxReason); err != nil {
		return web.Device{}, err
	}
	l, next, err := s.leaving(ctx, id, r)
	if err != nil {
		return web.Device{}, err
	}
	why := r.Reason
	if r.Erase {
		said, err := s.eraseAndProve(ctx, by, l)
		if err != nil {
			return web.Device{}, translate(err)
		}
		why += "; " + said
	}
	if l.Factory != (fleet.Factory{}) {
		if err := s.endRights(ctx, by, l); err != nil {
			return web.Device{}, err
		}
	}
	if err := s.revokeNamed(ctx, by, l, why); err != nil {
		return web.Device{}, err
	}
	if err := s.endKeys(ctx, by, l.ID, why); err != nil {
		return web.Device{}, translate(err)
	}
	if err := s.leave(ctx, by, l.Device, next, why); err != nil {
		return web.Device{}, err
	}
	ctx = context.WithoutCancel(ctx) // it is done; what follows must not depend on who waits
	if err := s.Server.Dismiss(ctx, l.ID, "retired"); err != nil {
		return web.Device{}, translate(err)
	}
	l, err = s.find(ctx, string(l.ID))
	return showDevice(l, s.Now()), err
}

// leaving finds a device that may be retired, and what takes its place, "" for nothing.
func (s *devices) leaving(ctx context.Context, id string, r web.Retirement) (
	l sqlite.DeviceLine, next fleet.ID, err error,
) {
	if l, err = s.find(ctx, id); err != nil {
		return l, "", err
	}
	if l.Ownership == fleet.Left {
		return l, "", conflict("the device is not ours any more")
	}
	if next, err = s.successor(ctx, l, r); err != nil {
		return l, "", err
	}
	return l, next, s.movable(ctx, l)
}

// endKeys removes a device's pre-shared keys.
func (s *devices) endKeys(ctx context.Context, by web.Actor, id fleet.ID, why string) error {
	if s.Keys == nil {
		return nil
	}
	for _, use := range []fleet.CredentialUse{fleet.UseServer, fleet.UseBootstrap} {
		if err := s.Keys.RemoveCredential(ctx, id, use, by.String(), why); err != nil {
			return err
		}
		s.KeyChanged(id, use)
	}
	return nil
}

// leave ends the ownership; next, if it is one, takes the place, in the same transaction.
func (s *devices) leave(ctx context.Context, by web.Actor, d fleet.Device, next fleet.ID, why string) error {
	if next == "" {
		d.Ownership, d.NoSec = fleet.Left, false
		return translate(s.DB.Devices().Put(ctx, d, by.String(), why))
	}
	err := s.DB.Devices().Replace(ctx, sqlite.Replacement{
		Old: d.ID, New: next, At: s.Now(), Actor: by.String(), Reason: why,
	}, maxTags)
	switch {
	case errors.Is(err, sqlite.ErrTags):
		return errManyTags
	case errors.Is(err, fleet.ErrConflict):
		return conflict("one of the two has left meanwhile")
	case err != nil:
		return translate(err)
	}
	s.Server.Reconsider(next)
	return nil
}

var errManyTags = conflict("together they have too many tags")

// successor finds the device that is to take the place, "" for none.
func (s *devices) successor(ctx context.Context, l sqlite.DeviceLine, r web.Retirement) (fleet.ID, error) {
	if r.Replacement == "" {
		return "", nil
	}
	next, err := s.find(ctx, r.Replacement)
	switch {
	case errors.Is(err, web.ErrNotFound):
		return "", web.Invalid("replacement", "there is no such device")
	case err != nil:
		return "", err
	case next.ID == l.ID:
		return "", web.Invalid("replacement", "a device does not replace itself")
	case next.Ownership == fleet.Left:
		return "", conflict("the replacement is not ours any more")
	case len(slices.Compact(slices.Sorted(slices.Values(slices.Concat(l.Tags, next.Tags))))) > maxTags:
		return "", errManyTags // before anything has ended
	}
	return next.ID, nil
}

// movable refuses a device of which a hand-over is under way.
func (s *devices) movable(ctx context.Context, l sqlite.DeviceLine) error {
	if l.Factory == (fleet.Factory{}) {
		return nil
	}
	rows, err := s.view.TransfersOf(ctx, l.Factory, detailRows)
	if err != nil {
		return translate(err)
	}
	for _, r := range rows {
		if !r.Ended() {
			return conflict("a hand-over of the device is under way: " + r.Transfer)
		}
	}
	return nil
}

// endRights deletes a device's right to enrol and revokes its certificates.
func (s *devices) endRights(ctx context.Context, by web.Actor, l sqlite.DeviceLine) error {
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

// succession tells whose place a device has taken, and what has taken its own.
func (s *devices) succession(ctx context.Context, out *web.DeviceDetail, id fleet.ID) error {
	of, by, err := s.view.Replaced(ctx, id)
	if err != nil {
		return translate(err)
	}
	for _, d := range of {
		out.Replaces = append(out.Replaces, web.DeviceName{ID: string(d.ID), Endpoint: string(d.Endpoint)})
	}
	for _, d := range by {
		out.ReplacedBy = &web.DeviceName{ID: string(d.ID), Endpoint: string(d.Endpoint)}
	}
	return nil
}

// retired tells how a device that was retired has been erased, if it was to be.
func (s *devices) retired(ctx context.Context, out *web.DeviceDetail, id fleet.ID) error {
	r, err := s.view.Retirement(ctx, id)
	if errors.Is(err, fleet.ErrUnknown) {
		return nil
	}
	if err == nil {
		out.Erasure = &web.DeviceErasure{At: r.At, Said: r.Said, Level: r.Level, Record: r.Record}
	}
	return translate(err)
}

// revokeNamed revokes what is left of the certificates in a device's name: those that it
// got without a right of its factory certificate, by a password or after bootstrap.
func (s *devices) revokeNamed(ctx context.Context, by web.Actor, l sqlite.DeviceLine, why string) error {
	records, err := s.CA.List(ctx, est.Query{
		Kind: est.KindOperational, Status: est.StatusValid, Name: string(l.Endpoint),
	})
	if err != nil {
		return translate(err)
	}
	for _, r := range records {
		if err := s.CA.As(by.String()).Revoke(ctx, r.Hash, est.CessationOfOperation, why); err != nil {
			return translate(err)
		}
		s.Dropped(r.Hash, l.ID)
	}
	return nil
}
