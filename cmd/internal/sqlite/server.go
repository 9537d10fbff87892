package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// Server implements server.Store.
type Server struct{ db *DB }

// Server returns the server.Store of db.
func (db *DB) Server() Server { return Server{db} }

// details are the columns of a registration that nothing selects by.
type details struct {
	Formats []uint16 `json:"formats,omitempty"`
	Objects []link   `json:"objects,omitempty"`
	Unknown []string `json:"unknown,omitempty"`
}

type link struct {
	Path    string `json:"path"`
	Version string `json:"ver,omitempty"`
}

func detailsOf(r server.Registration) (string, error) {
	d := details{Formats: r.Formats, Unknown: r.Unknown}
	for _, o := range r.Objects {
		d.Objects = append(d.Objects, link{o.Path.String(), o.Version})
	}
	b, err := json.Marshal(d)
	return string(b), err
}

// Register implements server.Registrations.
func (s Server) Register(ctx context.Context, r server.Registration) error {
	d, err := detailsOf(r)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("registration.delete_device", string(r.Device)); err != nil {
			return err
		}
		if _, err := tx.Exec("registration.insert", r.ID, string(r.Device), string(r.Endpoint), string(r.Version),
			int64(r.Lifetime/time.Second), r.Binding, r.Queue, r.SMS, r.Root, d, r.Address,
			r.RegisteredAt.UnixMicro(), r.UpdatedAt.UnixMicro(), micro(r.ExpiresAt)); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: "device:" + string(r.Endpoint), Action: "registration.register", Subject: string(r.Device),
			After: "registered",
		})
	})
}

// Update implements server.Registrations.
func (s Server) Update(ctx context.Context, r server.Registration, refresh bool) error {
	d, err := detailsOf(r)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		var res sql.Result
		var err error
		if refresh {
			res, err = tx.Exec("registration.refresh", r.Address, r.UpdatedAt.UnixMicro(), micro(r.ExpiresAt), r.ID)
		} else {
			res, err = tx.Exec("registration.update", int64(r.Lifetime/time.Second), r.Binding, r.Queue, r.SMS, r.Root,
				d, r.Address, r.UpdatedAt.UnixMicro(), micro(r.ExpiresAt), r.ID)
		}
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return server.ErrNotRegistered
		}
		if refresh {
			return nil
		}
		return tx.Audit(audit.Row{
			Actor: "device:" + string(r.Endpoint), Action: "registration.update", Subject: string(r.Device),
			Before: "registered", After: "registered",
		})
	})
}

// Remove implements server.Registrations.
func (s Server) Remove(ctx context.Context, id, actor, reason string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		var device string
		err := tx.QueryRow("registration.delete", id).Scan(&device)
		if errors.Is(err, sql.ErrNoRows) {
			return server.ErrNotRegistered
		}
		if err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "registration.remove", Subject: device, Reason: reason, Before: "registered",
		})
	})
}

// Registration implements server.Registrations.
func (s Server) Registration(ctx context.Context, id string) (server.Registration, error) {
	return scanRegistration(s.db.QueryRow(ctx, "registration.by_id", id))
}

// OfDevice implements server.Registrations.
func (s Server) OfDevice(ctx context.Context, device fleet.ID) (server.Registration, error) {
	return scanRegistration(s.db.QueryRow(ctx, "registration.by_device", string(device)))
}

// Expire implements server.Registrations.
func (s Server) Expire(ctx context.Context, now time.Time, limit int) ([]server.Registration, error) {
	// Nearly always there is nothing to do, and then no write transaction.
	var due bool
	if err := s.db.QueryRow(ctx, "registration.due", now.UnixMicro()).Scan(&due); err != nil || !due {
		return nil, err
	}
	var gone []server.Registration
	err := s.db.Update(ctx, func(tx *Tx) error {
		rows, err := tx.Query("registration.expire", now.UnixMicro(), limit)
		if err != nil {
			return err
		}
		gone, err = collect(rows, func(r *sql.Rows) (server.Registration, error) { return scanRegistration(r) })
		if err != nil {
			return err
		}
		for _, r := range gone {
			if err := tx.Audit(audit.Row{
				Actor: "system", Action: "registration.remove", Subject: string(r.Device), Reason: "lifetime over",
				Before: "registered",
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(gone, func(a, b server.Registration) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	return gone, nil
}

// micro returns a time column that may be empty, for the zero time.
func micro(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: true}
}

// scanRegistration reads one registration; no row is server.ErrNotRegistered.
func scanRegistration(row interface{ Scan(dest ...any) error }) (server.Registration, error) {
	var r server.Registration
	var lifetime, registered, updated int64
	var expires sql.NullInt64
	var text string
	err := row.Scan(&r.ID, &r.Device, &r.Endpoint, &r.Version, &lifetime, &r.Binding, &r.Queue, &r.SMS, &r.Root,
		&text, &r.Address, &registered, &updated, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return server.Registration{}, server.ErrNotRegistered
	}
	if err != nil {
		return server.Registration{}, err
	}
	r.Lifetime = time.Duration(lifetime) * time.Second
	r.RegisteredAt, r.UpdatedAt = fromMicro(registered), fromMicro(updated)
	if expires.Valid {
		r.ExpiresAt = fromMicro(expires.Int64)
	}
	var d details
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return server.Registration{}, err
	}
	r.Formats, r.Unknown = d.Formats, d.Unknown
	for _, o := range d.Objects {
		p, err := lwm2m.ParsePath(o.Path)
		if err != nil {
			return server.Registration{}, err
		}
		r.Objects = append(r.Objects, server.ObjectLink{Path: p, Version: o.Version})
	}
	return r, nil
}

// fromMicro reads a time column.
func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Record implements server.Values.
func (s Server) Record(ctx context.Context, device fleet.ID, from server.Source, entries []lwm2m.Entry,
	at time.Time,
) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		for _, e := range entries {
			if _, err := tx.Exec("value.put", string(device), e.Path.String(), e.Value.Kind().String(), e.Value.Plain(),
				string(from), at.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Want implements server.Values.
func (s Server) Want(ctx context.Context, device fleet.ID, p lwm2m.Path, on bool, actor string) error {
	name, action := "observation.insert", "observation.want"
	if !on {
		name, action = "observation.delete", "observation.cancel"
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec(name, string(device), p.String())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // nothing changed: no row
		}
		return tx.Audit(audit.Row{Actor: actor, Action: action, Subject: string(device), After: p.String()})
	})
}

// Wanted implements server.Values.
func (s Server) Wanted(ctx context.Context, device fleet.ID) ([]lwm2m.Path, error) {
	rows, err := s.db.Query(ctx, "observation.list", string(device))
	if err != nil {
		return nil, err
	}
	paths, err := collect(rows, func(r *sql.Rows) (lwm2m.Path, error) {
		var text string
		if err := r.Scan(&text); err != nil {
			return lwm2m.Path{}, err
		}
		return lwm2m.ParsePath(text)
	})
	slices.SortFunc(paths, lwm2m.Path.Compare)
	return paths, err
}

// A LastValue is the last known value of a resource.
type LastValue struct {
	lwm2m.Entry

	From server.Source
	At   time.Time
}

// Values returns the last known values of a device in the order of their paths.
func (s Server) Values(ctx context.Context, device fleet.ID) ([]LastValue, error) {
	rows, err := s.db.Query(ctx, "value.list", string(device))
	if err != nil {
		return nil, err
	}
	out, err := collect(rows, scanValue)
	slices.SortFunc(out, func(a, b LastValue) int { return a.Path.Compare(b.Path) })
	return out, err
}

func scanValue(r *sql.Rows) (v LastValue, err error) {
	var path, kind, plain string
	var at int64
	if err = r.Scan(&path, &kind, &plain, &v.From, &at); err != nil {
		return v, err
	}
	if v.Path, err = lwm2m.ParsePath(path); err != nil {
		return v, err
	}
	k, _ := lwm2m.ParseKind(kind)
	v.At = fromMicro(at)
	if k != lwm2m.KindNone {
		v.Value, err = lwm2m.ParseValue(k, plain)
	}
	return v, err
}
