package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// A View reads what pages list and count. Every list has a cursor and a limit;
// the caller chooses both.
type View struct{ db *DB }

// View returns the read-only queries of db.
func (db *DB) View() View { return View{db} }

// A DeviceLine is a device with what the inventory shows beside it.
type DeviceLine struct {
	fleet.Device

	Version   lwm2m.Version // of the registration; "" without one
	ExpiresAt time.Time     // of the registration; zero without one and for one that never ends
	SeenAt    time.Time     // last Register or Update; zero: never
	// Values last heard of the Device object; "" if never.
	Firmware, Manufacturer, Model string

	Key fleet.CredentialKind // of its key for the server; "": none
}

// Registered reports whether the device has a registration that has not ended at now.
func (l DeviceLine) Registered(now time.Time) bool {
	return l.Version != "" && (l.ExpiresAt.IsZero() || l.ExpiresAt.After(now))
}

// A Presence selects devices by whether they are registered with us.
type Presence string

// The presences. Online means owned and within its lifetime.
const (
	PresenceAny     Presence = ""
	PresenceOnline  Presence = "online"
	PresenceOffline Presence = "offline"
)

// A DeviceQuery selects devices. Zero fields select all.
type DeviceQuery struct {
	Ownership fleet.Ownership
	Presence  Presence
	Text      string // part of the endpoint; ASCII letters match either case
	Tag       string
	Insecure  bool   // registered and allowed without security
	Campaign  string // with a job of that campaign
	Exposed   string // running a release that a vulnerability affects; "*": by any
	Release   string // running that release
	Now       time.Time
	After     lwm2m.Endpoint // the last of the page before; "" asks for the first
	Limit     int
}

// Devices returns the devices that q selects in order of their endpoints.
func (v View) Devices(ctx context.Context, q DeviceQuery) ([]DeviceLine, error) {
	name := "view.devices"
	switch {
	case q.Insecure:
		name = "view.devices_nosec"
	case q.Ownership != "":
		name = "view.devices_owned"
	}
	var online any
	if q.Presence != PresenceAny {
		online = q.Presence == PresenceOnline
	}
	rows, err := v.db.Query(ctx, name, string(q.After), q.Limit, text(q.Text), text(q.Tag), online, q.Now.UnixMicro(),
		text(string(q.Ownership)), text(q.Campaign), text(q.Exposed), text(q.Release))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (DeviceLine, error) { return scanDeviceLine(r) })
}

// Device returns the device with that id, or fleet.ErrUnknown.
func (v View) Device(ctx context.Context, id fleet.ID) (DeviceLine, error) {
	return scanDeviceLine(v.db.QueryRow(ctx, "view.device", string(id)))
}

// DeviceByEndpoint returns the device with that name, or fleet.ErrUnknown.
func (v View) DeviceByEndpoint(ctx context.Context, e lwm2m.Endpoint) (DeviceLine, error) {
	return scanDeviceLine(v.db.QueryRow(ctx, "view.device_by_endpoint", string(e)))
}

// scanDeviceLine reads one line; no row is fleet.ErrUnknown.
func scanDeviceLine(row scanner) (DeviceLine, error) {
	var l DeviceLine
	var expires, seen int64
	var err error
	l.Device, err = scanDevice(also{row, []any{
		&l.Version, &expires, &seen, &l.Firmware, &l.Manufacturer, &l.Model, &l.Key,
	}})
	l.ExpiresAt, l.SeenAt = moment(expires), moment(seen)
	return l, err
}

// A scanner is one row.
type scanner interface{ Scan(dest ...any) error }

// also is a row with columns after those that its reader knows.
type also struct {
	scanner

	more []any
}

// Scan reads the known columns into dest, the others into more.
func (a also) Scan(dest ...any) error { return a.scanner.Scan(append(dest, a.more...)...) }

// Known returns the devices that have one of the ids or endpoints, in any order.
// Names that nobody has are left out.
func (v View) Known(ctx context.Context, ids, endpoints []string) ([]fleet.Device, error) {
	byID, err := json.Marshal(append([]string{}, ids...))
	if err != nil {
		return nil, err
	}
	byEndpoint, err := json.Marshal(append([]string{}, endpoints...))
	if err != nil {
		return nil, err
	}
	rows, err := v.db.Query(ctx, "view.known", string(byID), string(byEndpoint))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (fleet.Device, error) { return scanDevice(r) })
}

// DeviceCounts are the numbers of devices.
type DeviceCounts struct {
	Expected, Owned, Left int
	Online                int // of those owned
	Insecure              int // registered and allowed without security
}

// DeviceCounts counts the devices as of now.
func (v View) DeviceCounts(ctx context.Context, now time.Time) (c DeviceCounts, err error) {
	rows, err := v.db.Query(ctx, "view.device_counts")
	if err != nil {
		return c, err
	}
	counts, err := collect(rows, scanCount)
	if err != nil {
		return c, err
	}
	for _, n := range counts {
		switch fleet.Ownership(n.state) {
		case fleet.Expected:
			c.Expected = n.n
		case fleet.Owned:
			c.Owned = n.n
		case fleet.Left:
			c.Left = n.n
		}
	}
	if err := v.db.QueryRow(ctx, "view.online", now.UnixMicro()).Scan(&c.Online); err != nil {
		return c, err
	}
	err = v.db.QueryRow(ctx, "view.insecure").Scan(&c.Insecure)
	return c, err
}

type count struct {
	state string
	n     int
}

func scanCount(r *sql.Rows) (count, error) {
	var c count
	err := r.Scan(&c.state, &c.n)
	return c, err
}

// ValuesBelow returns the values last heard of a device at and below p, in the
// order of their paths, no more than lwm2m.MaxEntries.
func (v View) ValuesBelow(ctx context.Context, device fleet.ID, p lwm2m.Path) ([]LastValue, error) {
	at := p.String()
	from, to := at+"/", at+"0" // '0' follows '/'
	if p == (lwm2m.Path{}) {
		from, to = "/", "0"
	}
	rows, err := v.db.Query(ctx, "view.values", string(device), at, from, to, lwm2m.MaxEntries)
	if err != nil {
		return nil, err
	}
	out, err := collect(rows, scanValue)
	slices.SortFunc(out, func(a, b LastValue) int { return a.Path.Compare(b.Path) })
	return out, err
}
