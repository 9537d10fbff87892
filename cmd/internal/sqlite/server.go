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

	parsed []server.ObjectLink // of Objects
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
	return s.db.UpdateRepeatable(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("registration.put", string(r.Device), r.ID, string(r.Endpoint), string(r.Version),
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
func (s Server) Update(ctx context.Context, r server.Registration) error {
	d, err := detailsOf(r)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := registered(tx.Exec("registration.update", int64(r.Lifetime/time.Second), r.Binding, r.Queue, r.SMS,
			r.Root, d, r.Address, r.UpdatedAt.UnixMicro(), micro(r.ExpiresAt), string(r.Device), r.ID)); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: "device:" + string(r.Endpoint), Action: "registration.update", Subject: string(r.Device),
			Before: "registered", After: "registered",
		})
	})
}

// registered returns server.ErrNotRegistered if a statement changed no row.
func registered(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = server.ErrNotRegistered
	}
	return err
}

// Refresh implements server.Registrations.
func (s Server) Refresh(ctx context.Context, signs []server.Refresh) error {
	return s.db.UpdateRepeatable(ctx, func(tx *Tx) error {
		for _, n := range signs {
			at := n.UpdatedAt.UnixMicro()
			if _, err := tx.Exec("registration.refresh", n.Address, int64(n.Lifetime/time.Second), at, micro(n.ExpiresAt),
				int64(n.Rhythm/time.Second), string(n.Device), n.ID, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// Remove implements server.Registrations.
func (s Server) Remove(ctx context.Context, r server.Registration, actor, reason string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := registered(tx.Exec("registration.delete", string(r.Device), r.ID)); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "registration.remove", Subject: string(r.Device), Reason: reason, Before: "registered",
		})
	})
}

// EachRegistration implements server.Registrations.
func (s Server) EachRegistration(ctx context.Context, fn func(server.Registration)) error {
	rows, err := s.db.Query(ctx, "registration.all")
	if err != nil {
		return err
	}
	known := map[string]details{} // most devices of a model tell the same
	_, err = collect(rows, func(r *sql.Rows) (struct{}, error) {
		reg, err := scanRegistration(r, known)
		if err == nil {
			fn(reg)
		}
		return struct{}{}, err
	})
	return err
}

// OfDevice returns the registration that is stored of a device, or
// server.ErrNotRegistered. Refreshes reach it with a delay.
func (s Server) OfDevice(ctx context.Context, device fleet.ID) (server.Registration, error) {
	return scanRegistration(s.db.QueryRow(ctx, "registration.by_device", string(device)), nil)
}

// micro returns a time column that may be empty, for the zero time.
func micro(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: true}
}

// scanRegistration reads one registration; no row is server.ErrNotRegistered.
// Details that were read before are taken from known, which may be nil.
func scanRegistration(row interface{ Scan(dest ...any) error }, known map[string]details) (server.Registration, error) {
	var r server.Registration
	var lifetime, registered, updated, rhythm int64
	var expires sql.NullInt64
	var text string
	err := row.Scan(&r.ID, &r.Device, &r.Endpoint, &r.Version, &lifetime, &r.Binding, &r.Queue, &r.SMS, &r.Root,
		&text, &r.Address, &registered, &updated, &expires, &rhythm)
	if errors.Is(err, sql.ErrNoRows) {
		return server.Registration{}, server.ErrNotRegistered
	}
	if err != nil {
		return server.Registration{}, err
	}
	r.Lifetime, r.Rhythm = time.Duration(lifetime)*time.Second, time.Duration(rhythm)*time.Second
	r.RegisteredAt, r.UpdatedAt = fromMicro(registered), fromMicro(updated)
	if expires.Valid {
		r.ExpiresAt = fromMicro(expires.Int64)
	}
	d, ok := known[text]
	if !ok {
		if d, err = parseDetails(text); err != nil {
			return server.Registration{}, err
		}
		if known != nil && len(known) < maxKnown {
			known[text] = d
		}
	}
	r.Formats, r.Unknown, r.Objects = d.Formats, d.Unknown, d.parsed
	return r, nil
}

// maxKnown bounds the details that are remembered while all are read.
const maxKnown = 1024

func parseDetails(text string) (d details, err error) {
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, err
	}
	for _, o := range d.Objects {
		p, err := lwm2m.ParsePath(o.Path)
		if err != nil {
			return d, err
		}
		d.parsed = append(d.parsed, server.ObjectLink{Path: p, Version: o.Version})
	}
	return d, nil
}

// fromMicro reads a time column.
func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Record implements server.Values.
func (s Server) Record(ctx context.Context, reports []server.Report) error {
	rules, err := s.db.retentionRules(ctx)
	if err != nil {
		return err
	}
	waits := make([]bool, len(reports)) // its sample does
	for i := range reports {
		waits[i] = s.db.pending.add(&reports[i])
	}
	return s.db.UpdateRepeatable(ctx, func(tx *Tx) error {
		for i := range reports {
			if err := record(tx, rules, &reports[i], waits[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func record(tx *Tx, rules retentions, r *server.Report, waits bool) error {
	if !waits {
		if err := putSample(tx, rules, r); err != nil || r.Past {
			return err
		}
	}
	_, err := tx.Exec("value.put", string(r.Device), r.Entry.Path.String(), r.Entry.Value.Kind().String(),
		r.Entry.Value.Plain(), string(r.From), r.At.UnixMicro())
	return err
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
	if v.Path, err = lwm2m.ParseNode(path); err != nil {
		return v, err
	}
	k, _ := lwm2m.ParseKind(kind)
	v.At = fromMicro(at)
	if k != lwm2m.KindNone {
		v.Value, err = lwm2m.ParseValue(k, plain)
	}
	return v, err
}
