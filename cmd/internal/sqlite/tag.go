package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// ErrTags reports that a device would have too many tags.
var ErrTags = errors.New("too many tags")

// ChangeTags adds tags to a device and takes others off, and writes an audit row if
// that changes anything. It returns fleet.ErrUnknown, and ErrTags for more than most.
func (s Devices) ChangeTags(
	ctx context.Context, id fleet.ID, add, take []string, most int, actor, reason string,
) error {
	changed := false
	err := s.db.Update(ctx, func(tx *Tx) error {
		old, err := scanDevice(tx.QueryRow("device.by_id", string(id)))
		if err != nil {
			return err
		}
		tags := slices.DeleteFunc(append(slices.Clone(old.Tags), add...), func(t string) bool {
			return slices.Contains(take, t)
		})
		slices.Sort(tags)
		if tags = slices.Compact(tags); slices.Equal(tags, old.Tags) {
			return nil
		}
		if len(tags) > most {
			return ErrTags
		}
		body, err := json.Marshal(append([]string{}, tags...))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("device.tags", string(body), string(id)); err != nil {
			return err
		}
		changed = true
		return tx.Audit(audit.Row{
			Actor: actor, Action: "device.tags", Subject: string(id), Reason: reason,
			Before: strings.Join(old.Tags, " "), After: strings.Join(tags, " "),
		})
	})
	if fn := s.db.watcher.Load(); err == nil && changed && fn != nil {
		(*fn)(id)
	}
	return err
}
