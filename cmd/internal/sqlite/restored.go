package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// A Restoration is what a restore did, and what people should look at.
type Restoration struct {
	At      time.Time `json:"at"`
	TakenAt time.Time `json:"taken_at"` // when the backup was made
	// Closed are the rights that were open; until people decide they are closed.
	Closed int `json:"rights_closed"`
	// Cancelled are operations that waited for devices: they may have been performed since.
	Cancelled int `json:"operations_cancelled"`
	Sessions  int `json:"sessions_ended"` // with links for signing in
	Tokens    int `json:"tokens"`         // of the REST API, as good as when the backup was made
	Campaigns int `json:"campaigns_under_way"`
	Transfers int `json:"transfers_under_way"`
	Devices   int `json:"devices"` // owned
}

const (
	settingRestored = "restored"
	restoredReason  = "restored from a backup"
)

// Restored makes a database that comes from a backup safe to go on with, in one
// transaction: what may have been used up since is closed, cancelled or ended. taken
// is when the backup was made.
func (db *DB) Restored(ctx context.Context, actor string, taken, now time.Time) (Restoration, error) {
	out := Restoration{At: now.UTC().Truncate(time.Microsecond), TakenAt: taken}
	err := db.Update(ctx, func(tx *Tx) error {
		if err := tx.closeRights(actor, now, &out); err != nil {
			return err
		}
		for name, to := range map[string]struct {
			n    *int
			args []any
		}{
			"restore.cancel_operations": {&out.Cancelled, []any{restoredReason, now.UnixMicro()}},
			"restore.drop_sessions":     {&out.Sessions, nil},
		} {
			res, err := tx.Exec(name, to.args...)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			*to.n = int(n)
		}
		for name, n := range map[string]*int{
			"restore.count_tokens": &out.Tokens, "restore.count_campaigns": &out.Campaigns,
			"restore.count_transfers": &out.Transfers, "restore.count_devices": &out.Devices,
		} {
			if err := tx.QueryRow(name).Scan(n); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return tx.noteRestoration(actor, out)
	})
	return out, err
}

func (tx *Tx) noteRestoration(actor string, r Restoration) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("setting.put", settingRestored, text); err != nil {
		return err
	}
	return tx.Audit(audit.Row{
		Actor: actor, Action: "provider.restore", Subject: "provider", At: r.At,
		Reason: "from the backup of " + r.TakenAt.UTC().Format(time.RFC3339), After: string(text),
	})
}

// closeRights closes the rights that are open, and notes them.
func (tx *Tx) closeRights(actor string, now time.Time, out *Restoration) error {
	row, err := est.RightTable.Step(est.RightOpen, est.EventClose)
	if err != nil {
		return err
	}
	rows, err := tx.Query("restore.open_rights")
	if err != nil {
		return err
	}
	open, err := collect(rows, scanRestoredRight)
	if err != nil {
		return err
	}
	for _, r := range open {
		if _, err := tx.Exec("restore.close_right", string(row.To), now.UnixMicro(), r.Factory[:]); err != nil {
			return err
		}
		if _, err := tx.Exec("restore.note_right", r.Factory[:]); err != nil {
			return err
		}
		err := tx.Audit(audit.Row{
			Actor: actor, Action: "right." + string(est.EventClose), Subject: hex.EncodeToString(r.Factory[:]), At: now,
			Reason: r.Endpoint + ": " + restoredReason, Before: string(est.RightOpen), After: string(row.To),
		})
		if err != nil {
			return err
		}
	}
	out.Closed = len(open)
	return nil
}

// A RestoredRight is a right that a restore closed and nobody decided about yet.
type RestoredRight struct {
	Factory  est.Hash
	Endpoint string
}

func scanRestoredRight(rows *sql.Rows) (r RestoredRight, err error) {
	var factory []byte
	err = rows.Scan(&factory, &r.Endpoint)
	copy(r.Factory[:], factory)
	return r, err
}

// Restoration returns what the last restore did, false if there was none or people
// said that they are done with it.
func (db *DB) Restoration(ctx context.Context) (r Restoration, there bool, err error) {
	var text []byte
	err = db.QueryRow(ctx, "setting.get", settingRestored).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err == nil, err
}

// RestoredRights returns up to limit rights that a restore closed and that still are,
// in the order of their factory certificates, and how many there are in all.
func (db *DB) RestoredRights(
	ctx context.Context, after est.Hash, limit int,
) (some []RestoredRight, all int, err error) {
	rows, err := db.Query(ctx, "restore.rights", after[:], limit)
	if err != nil {
		return nil, 0, err
	}
	if some, err = collect(rows, scanRestoredRight); err != nil {
		return nil, 0, err
	}
	err = db.QueryRow(ctx, "restore.count_rights").Scan(&all)
	return some, all, err
}

// ForgetRestoredRight notes that people decided about a right.
func (db *DB) ForgetRestoredRight(ctx context.Context, factory est.Hash) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("restore.forget_right", factory[:])
		return err
	})
}

// EndRestoration notes that people are done with a restore: rights that are closed
// still stay so.
func (db *DB) EndRestoration(ctx context.Context, actor, reason string, now time.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("restore.forget_rights"); err != nil {
			return err
		}
		if _, err := tx.Exec("restore.forget_setting", settingRestored); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "provider.reconcile", Subject: "provider", Reason: reason, After: "reconciled", At: now,
		})
	})
}

// RestoredRightWaits reports whether a right is one that a restore closed and that
// still is.
func (db *DB) RestoredRightWaits(ctx context.Context, factory est.Hash) (bool, error) {
	var n int
	err := db.QueryRow(ctx, "restore.waits", factory[:]).Scan(&n)
	return n > 0, err
}
