package sqlite

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// ErrBusy reports a device that something is still under way with.
var ErrBusy = errors.New("device is busy")

// ErrHeld reports a device whose certificates are good yet: whoever has their keys could
// come as the next device of its name.
var ErrHeld = errors.New("certificates of the device are valid")

// Erase removes a device that left and all that is known of it: what it sent, was asked
// and was given. Certificates, rights and hand-overs stay, for the CA and the evidence of
// where it went need them, and so does the audit. It returns fleet.ErrUnknown,
// fleet.ErrConflict for one that has not left, ErrBusy while an update or a hand-over of
// it is not over, and then ErrHeld while certificates in its name are valid. After a crash
// it is asked for once more.
func (s Devices) Erase(ctx context.Context, id fleet.ID, actor, reason string) error {
	err := s.db.Update(ctx, func(tx *Tx) error { // before anything goes that does not come back
		_, err := erasable(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	series := Series(s)
	days, err := series.days(ctx)
	if err != nil {
		return err
	}
	for _, day := range days { // many, so a batch at a time; of who left none come
		if _, err := s.db.remove(ctx, -1, "series.trim", day, string(id)); err != nil {
			return err
		}
	}
	if err := s.db.Update(ctx, func(tx *Tx) error { return erase(tx, id, actor, reason) }); err != nil {
		return err
	}
	s.db.deviceChanged(id)
	return nil
}

// erasable returns a device that may be removed.
func erasable(tx *Tx, id fleet.ID) (d fleet.Device, err error) {
	if d, err = scanDevice(tx.QueryRow("device.by_id", string(id))); err != nil {
		return d, err
	}
	if d.Ownership != fleet.Left {
		return d, fmt.Errorf("%w: %s has not left", fleet.ErrConflict, d.Endpoint)
	}
	var busy, held int
	if err := tx.QueryRow("device.busy", string(id), factoryColumn(d.Factory)).Scan(&busy); err != nil {
		return d, fmt.Errorf("device.busy: %w", err)
	}
	if err := tx.QueryRow("certificate.holders", string(d.Endpoint)).Scan(&held); err != nil {
		return d, fmt.Errorf("certificate.holders: %w", err)
	}
	switch {
	case busy > 0:
		return d, fmt.Errorf("%w: %s", ErrBusy, d.Endpoint)
	case held > 0:
		return d, fmt.Errorf("%w: %s", ErrHeld, d.Endpoint)
	default:
		return d, nil
	}
}

func erase(tx *Tx, id fleet.ID, actor, reason string) error {
	d, err := erasable(tx, id) // it may have come back meanwhile
	if err != nil {
		return err
	}
	for _, statement := range []string{"device.erase_attester", "device.erase_verdicts"} {
		if _, err := tx.Exec(statement, factoryColumn(d.Factory)); err != nil {
			return err
		}
	}
	for _, statement := range []string{"device.erase_bulk", "device.erase"} { // the last takes the rest along
		if _, err := tx.Exec(statement, string(id)); err != nil {
			return err
		}
	}
	return tx.Audit(audit.Row{
		Actor: actor, Action: "device.erase", Subject: string(id), Reason: reason,
		Before: string(d.Endpoint) + " " + string(d.Ownership),
	})
}
