package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
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
	Texts     []string // parts of the endpoint, all of them; ASCII letters match either case
	Tags      []string // all of them
	Insecure  bool     // registered and allowed without security
	Campaign  string   // with a job of that campaign
	Exposed   string   // running a release that a vulnerability affects; "*": by any
	Release   string   // running that release
	// What the device tells of itself, exactly.
	Manufacturer, Model, Firmware string

	Members string // members of that group, which is static
	Newest  bool   // in order of ids, the newest first, rather than of endpoints
	Now     time.Time
	After   string // endpoint, or id if Newest, of the last of the page before; "" asks for the first
	Limit   int
}

// lastID is above every id.
const lastID = "~"

// Devices returns the devices that q selects in order of their endpoints.
func (v View) Devices(ctx context.Context, q DeviceQuery) ([]DeviceLine, error) {
	name, after := "view.devices", q.After
	switch {
	case q.Newest:
		name, after = "view.devices_newest", cmp.Or(after, lastID)
	case q.Members != "":
		name = "view.devices_members"
	case q.Insecure:
		name = "view.devices_nosec"
	case q.Ownership != "":
		name = "view.devices_owned"
	}
	return v.devices(ctx, name, after, q)
}

// Matches reports whether q selects the device with that id, wherever it stands in the list.
func (v View) Matches(ctx context.Context, id fleet.ID, q DeviceQuery) (bool, error) {
	q.Limit = 1
	found, err := v.devices(ctx, "view.device_matches", string(id), q)
	return len(found) > 0, err
}

func (v View) devices(ctx context.Context, name, after string, q DeviceQuery) ([]DeviceLine, error) {
	var online, insecure any
	if q.Presence != PresenceAny {
		online = q.Presence == PresenceOnline
	}
	if q.Insecure {
		insecure = true
	}
	args := []any{
		after, q.Limit, texts(q.Texts), texts(q.Tags), online, q.Now.UnixMicro(), text(string(q.Ownership)),
		text(q.Campaign), text(q.Exposed), text(q.Release), text(q.Manufacturer), text(q.Model), text(q.Firmware),
		text(q.Members), insecure, likeFirst(q.Texts), tagFirst(q.Tags),
	}
	rows, err := v.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (DeviceLine, error) { return scanDeviceLine(r) })
}

// texts is NULL for none, else a JSON array.
func texts(all []string) any {
	if len(all) == 0 {
		return nil
	}
	out, err := json.Marshal(all)
	if err != nil {
		return nil // strings always marshal
	}
	return string(out)
}

// likeFirst is a pattern that what has the first text matches; NULL for none, or for
// one that is longer than SQLite takes.
func likeFirst(all []string) any {
	if len(all) == 0 || len(all[0]) > maxLike {
		return nil
	}
	return like(all[0])
}

// maxLike is far longer than names and serial numbers, and far shorter than what
// SQLite refuses as a pattern.
const maxLike = 1000

// likeText is a pattern that what has text in it matches; NULL for "". What is
// longer than any name is cut, for SQLite takes no long pattern: it is in none.
func likeText(text string) any {
	if text == "" {
		return nil
	}
	return like(text[:min(len(text), maxLike)])
}

// like is the pattern of what has text in it, with a backslash to escape.
func like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

// tagFirst is how the first tag is written in the column of tags; NULL for none.
func tagFirst(all []string) any {
	if len(all) == 0 {
		return nil
	}
	out, err := json.Marshal(all[0])
	if err != nil {
		return nil // strings always marshal
	}
	return string(out)
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
	Insecure              int // registered and allowed without security
}

// DeviceCounts counts the devices.
func (v View) DeviceCounts(ctx context.Context) (c DeviceCounts, err error) {
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
