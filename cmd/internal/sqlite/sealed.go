package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

// SealedEnvelope returns what a device was given last of a release whose image holds
// secrets, or rollout.ErrUnknown.
func (s Rollout) SealedEnvelope(ctx context.Context, device fleet.ID) (rollout.SealedEnvelope, error) {
	return scanSealed(s.db.QueryRow(ctx, "sealed_envelope.get", string(device)), device)
}

func scanSealed(row interface{ Scan(dest ...any) error }, device fleet.ID) (e rollout.SealedEnvelope, err error) {
	var key, manifest []byte
	err = row.Scan(&e.Release, &key, &manifest, &e.Envelope)
	if errors.Is(err, sql.ErrNoRows) {
		return e, rollout.ErrUnknown
	}
	if err != nil {
		return e, err
	}
	e.Device = device
	copy(e.Key[:], key)
	e.Manifest, err = suit.ParseDigest(manifest)
	return e, err
}

// PutSealedEnvelope stores what a device is given, in place of what it was given before
// of another release or for another key, and returns what is stored: the first of two
// that are made for the same.
func (s Rollout) PutSealedEnvelope(ctx context.Context, e rollout.SealedEnvelope, actor string) (
	stored rollout.SealedEnvelope, err error,
) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("sealed_envelope.put", string(e.Device), e.Release, e.Key[:], e.Manifest.Encode(), e.Envelope)
		if err != nil {
			return err
		}
		if stored, err = scanSealed(tx.QueryRow("sealed_envelope.get", string(e.Device)), e.Device); err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "update.seal", Subject: string(e.Device),
			Reason: "release " + e.Release + " was encrypted to the key that the device enrols",
			After:  "key " + hex.EncodeToString(e.Key[:8]),
		})
	})
	return stored, err
}
