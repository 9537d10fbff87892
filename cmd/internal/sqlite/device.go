package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// Devices implements fleet.Store.
type Devices struct{ db *DB }

// Devices returns the fleet.Store of db.
func (db *DB) Devices() Devices { return Devices{db} }

// Device implements fleet.Store.
func (s Devices) Device(ctx context.Context, id fleet.ID) (fleet.Device, error) {
	return scanDevice(s.db.QueryRow(ctx, "device.by_id", string(id)))
}

// ByFactory implements fleet.Store.
func (s Devices) ByFactory(ctx context.Context, f fleet.Factory) (fleet.Device, error) {
	return scanDevice(s.db.QueryRow(ctx, "device.by_factory", f[:]))
}

// ByEndpoint implements fleet.Store.
func (s Devices) ByEndpoint(ctx context.Context, e lwm2m.Endpoint) (fleet.Device, error) {
	return scanDevice(s.db.QueryRow(ctx, "device.by_endpoint", string(e)))
}

// Standing returns as much of a device as decides whether it may register: id,
// ownership, and whether it may do without security. Or fleet.ErrUnknown.
func (s Devices) Standing(ctx context.Context, e lwm2m.Endpoint) (fleet.Device, error) {
	d := fleet.Device{Endpoint: e}
	err := s.db.QueryRow(ctx, "device.standing", string(e)).Scan(&d.ID, &d.Ownership, &d.NoSec)
	if errors.Is(err, sql.ErrNoRows) {
		err = fleet.ErrUnknown
	}
	return d, err
}

// List implements fleet.Store.
func (s Devices) List(ctx context.Context, after fleet.ID, limit int) ([]fleet.Device, error) {
	rows, err := s.db.Query(ctx, "device.list", string(after), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (fleet.Device, error) { return scanDevice(r) })
}

// Put implements fleet.Store.
func (s Devices) Put(ctx context.Context, d fleet.Device, actor, reason string) error {
	if err := s.db.Update(ctx, func(tx *Tx) error { return putDevice(tx, d, actor, reason) }); err != nil {
		return err
	}
	s.db.deviceChanged(d.ID)
	return nil
}

// deviceChanged tells the watcher.
func (db *DB) deviceChanged(id fleet.ID) {
	if fn := db.watcher.Load(); fn != nil {
		(*fn)(id)
	}
}

// WatchDevices calls fn after each change of a device by Put or a new factory
// certificate, which returns only then. There is one watcher.
func (db *DB) WatchDevices(fn func(fleet.ID)) { db.watcher.Store(&fn) }

// putDevice stores d and its audit row within a larger change.
func putDevice(tx *Tx, d fleet.Device, actor, reason string) error {
	var clash int
	if err := tx.QueryRow("device.clash", string(d.ID), string(d.Endpoint), factoryColumn(d.Factory)).
		Scan(&clash); err != nil {
		return fmt.Errorf("device.clash: %w", err)
	}
	if clash > 0 {
		return fmt.Errorf("%w: %s", fleet.ErrConflict, d.Endpoint)
	}
	old, err := scanDevice(tx.QueryRow("device.by_id", string(d.ID)))
	if err != nil && !errors.Is(err, fleet.ErrUnknown) {
		return err
	}
	tags, err := json.Marshal(append([]string{}, slices.Sorted(slices.Values(d.Tags))...))
	if err != nil {
		return err
	}
	if _, err := tx.Exec("device.put", string(d.ID), factoryColumn(d.Factory), string(d.Endpoint),
		string(d.Ownership), d.NoSec, string(tags), d.CreatedAt.UnixMicro()); err != nil {
		return err
	}
	return tx.Audit(audit.Row{
		Actor: actor, Action: "device.put", Subject: string(d.ID), Reason: reason,
		Before: string(old.Ownership), After: string(d.Ownership),
	})
}

// factoryColumn is NULL for a device without a factory certificate, so that
// UNIQUE does not apply to it.
func factoryColumn(f fleet.Factory) any {
	if f == (fleet.Factory{}) {
		return nil
	}
	return f[:]
}

// scanDevice reads one device; no row is fleet.ErrUnknown.
func scanDevice(row interface{ Scan(dest ...any) error }) (fleet.Device, error) {
	var d fleet.Device
	var factory []byte
	var tags string
	var created int64
	err := row.Scan(&d.ID, &factory, &d.Endpoint, &d.Ownership, &d.NoSec, &tags, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Device{}, fleet.ErrUnknown
	}
	if err != nil {
		return fleet.Device{}, err
	}
	copy(d.Factory[:], factory)
	d.CreatedAt = time.UnixMicro(created).UTC()
	return d, json.Unmarshal([]byte(tags), &d.Tags)
}
