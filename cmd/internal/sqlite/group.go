package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// Errors of groups.
var (
	// ErrNoGroup reports a name that no group has.
	ErrNoGroup = errors.New("no such group")
	// ErrGroup reports a group that cannot be stored: too many of them, or of members,
	// or of another kind than before.
	ErrGroup = errors.New("group cannot be stored")
)

// Bounds of groups: a check of rights may look at all of them.
const (
	MaxGroups       = 200
	MaxGroupMembers = 10000
)

// Kinds of groups.
const (
	GroupStatic  = "static"  // a list of devices
	GroupDynamic = "dynamic" // whatever a filter selects
)

// A Group is a set of devices with a name.
type Group struct {
	Name        string
	Kind        string
	Filter      string // of a dynamic one
	Description string
	Members     int // of a static one
	CreatedAt   time.Time
	CreatedBy   string
}

// Groups keeps groups of devices.
type Groups struct{ db *DB }

// Groups returns the groups of db.
func (db *DB) Groups() Groups { return Groups{db} }

// All returns the groups in order of their names.
func (s Groups) All(ctx context.Context) ([]Group, error) {
	rows, err := s.db.Query(ctx, "group.list", MaxGroups)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (Group, error) { return scanGroup(r) })
}

// Group returns one, or ErrNoGroup.
func (s Groups) Group(ctx context.Context, name string) (Group, error) {
	return scanGroup(s.db.QueryRow(ctx, "group.get", name))
}

func scanGroup(r scanner) (g Group, err error) {
	var at int64
	err = r.Scan(&g.Name, &g.Kind, &g.Filter, &g.Description, &at, &g.CreatedBy, &g.Members)
	if errors.Is(err, sql.ErrNoRows) {
		return g, ErrNoGroup
	}
	g.CreatedAt = fromMicro(at)
	return g, err
}

// Plain returns what decides whether a group has a device: its kind and filter. Or
// ErrNoGroup.
func (s Groups) Plain(ctx context.Context, name string) (kind, filter string, err error) {
	err = s.db.QueryRow(ctx, "group.plain", name).Scan(&kind, &filter)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoGroup
	}
	return kind, filter, err
}

// Put stores g in place of that of the same name, whose members stay, with an audit
// row. It returns ErrGroup for one too many and for another kind than before.
func (s Groups) Put(ctx context.Context, g Group) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := scanGroup(tx.QueryRow("group.get", g.Name))
		switch {
		case errors.Is(err, ErrNoGroup):
			var n int
			if err := tx.QueryRow("group.count").Scan(&n); err != nil {
				return err
			}
			if n >= MaxGroups {
				return fmt.Errorf("%w: there are %d already", ErrGroup, n)
			}
		case err != nil:
			return err
		case before.Kind != g.Kind:
			return fmt.Errorf("%w: it is %s", ErrGroup, before.Kind)
		}
		if _, err := tx.Exec("group.put", g.Name, g.Kind, g.Filter, g.Description, g.CreatedAt.UnixMicro(),
			g.CreatedBy); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: g.CreatedBy, Action: "group.put", Subject: g.Name, Before: before.Filter, After: g.Kind + " " + g.Filter,
		})
	})
}

// Remove deletes a group with an audit row, or returns ErrNoGroup.
func (s Groups) Remove(ctx context.Context, name, actor string) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := scanGroup(tx.QueryRow("group.get", name))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("group.delete", name); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "group.remove", Subject: name, Before: before.Kind + " " + before.Filter,
		})
	})
}

// Change adds devices to a static group and takes others out, with an audit row. It
// returns ErrNoGroup, and ErrGroup for a dynamic one or too many members.
func (s Groups) Change(ctx context.Context, name string, add, take []fleet.ID, actor, reason string) error {
	more, err := json.Marshal(append([]fleet.ID{}, add...))
	if err != nil {
		return err
	}
	fewer, err := json.Marshal(append([]fleet.ID{}, take...))
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		before, err := scanGroup(tx.QueryRow("group.get", name))
		if err != nil {
			return err
		}
		if before.Kind != GroupStatic {
			return fmt.Errorf("%w: who is in it follows from its filter", ErrGroup)
		}
		if _, err := tx.Exec("group.add", name, string(more)); err != nil {
			return err
		}
		if _, err := tx.Exec("group.take", name, string(fewer)); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow("group.size", name).Scan(&n); err != nil {
			return err
		}
		if n > MaxGroupMembers {
			return fmt.Errorf("%w: %d devices, %d are the most", ErrGroup, n, MaxGroupMembers)
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "group.members", Subject: name, Reason: reason,
			Before: fmt.Sprintf("%d devices", before.Members),
			After:  fmt.Sprintf("%d devices%s%s", n, signed(" +", add), signed(" -", take)),
		})
	})
}

// signed names devices for an audit row, the first ones if there are many.
func signed(sign string, devices []fleet.ID) string {
	const most = 32
	var b strings.Builder
	for i, d := range devices {
		if i == most {
			fmt.Fprintf(&b, "%s… %d in all", sign, len(devices))
			break
		}
		b.WriteString(sign + string(d))
	}
	return b.String()
}

// Has reports whether a device is in a static group.
func (s Groups) Has(ctx context.Context, name string, device fleet.ID) (bool, error) {
	var one int
	err := s.db.QueryRow(ctx, "group.member", name, string(device)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
