package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A Sealer encrypts what must not stand in the database in the clear.
type Sealer interface {
	// Seal encrypts secret for one purpose.
	Seal(secret []byte, purpose string) []byte
	// Open returns what was sealed for purpose, or an error.
	Open(sealed []byte, purpose string) ([]byte, error)
}

// Credentials implements fleet.Credentials.
type Credentials struct {
	db   *DB
	seal Sealer
}

// Credentials returns the fleet.Credentials of db, sealed by seal.
func (db *DB) Credentials(seal Sealer) Credentials { return Credentials{db, seal} }

// PutCredential implements fleet.Credentials.
func (s Credentials) PutCredential(ctx context.Context, c fleet.Credential, actor, reason string) error {
	if err := c.Check(); err != nil {
		return err
	}
	sealed := []byte{} // of a key that only the device has
	if len(c.Secret) > 0 {
		sealed = s.seal.Seal(c.Secret, purpose(c.Kind, c.Identity))
	}
	public := append([]byte{}, c.Public...) // nil would be NULL
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := scanDevice(tx.QueryRow("device.by_id", string(c.Device))); err != nil {
			return err
		}
		var clash int
		if err := tx.QueryRow("device_key.clash", c.Identity, string(c.Device), string(c.Use)).Scan(&clash); err != nil {
			return err
		}
		if clash > 0 {
			return fmt.Errorf("%w: key identity %q", fleet.ErrConflict, c.Identity)
		}
		if _, err := tx.Exec("device_key.remove", string(c.Device), string(c.Use)); err != nil {
			return err
		}
		if _, err := tx.Exec("device_key.insert", c.Identity, string(c.Device), string(c.Use), string(c.Kind), public,
			sealed, c.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "credential.put", Subject: string(c.Device), Reason: reason,
			After: string(c.Use) + " " + string(c.Kind) + " " + c.Identity,
		})
	})
}

// Credential implements fleet.Credentials.
func (s Credentials) Credential(ctx context.Context, kind fleet.CredentialKind, identity string) (
	fleet.Credential, error,
) {
	return s.scan(s.db.QueryRow(ctx, "device_key.by_identity", identity, string(kind)))
}

// CredentialOf implements fleet.Credentials.
func (s Credentials) CredentialOf(ctx context.Context, device fleet.ID, use fleet.CredentialUse) (
	fleet.Credential, error,
) {
	return s.scan(s.db.QueryRow(ctx, "device_key.of_device", string(device), string(use)))
}

// RemoveCredential implements fleet.Credentials.
func (s Credentials) RemoveCredential(
	ctx context.Context, device fleet.ID, use fleet.CredentialUse, actor, reason string,
) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("device_key.remove", string(device), string(use))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "credential.remove", Subject: string(device), Reason: reason, Before: string(use),
		})
	})
}

func (s Credentials) scan(row *sql.Row) (c fleet.Credential, err error) {
	var sealed []byte
	var created int64
	err = row.Scan(&c.Identity, &c.Device, &c.Use, &c.Kind, &c.Public, &sealed, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Credential{}, fleet.ErrNoCredential
	}
	if err != nil {
		return fleet.Credential{}, err
	}
	c.CreatedAt = time.UnixMicro(created).UTC()
	if len(sealed) > 0 {
		c.Secret, err = s.seal.Open(sealed, purpose(c.Kind, c.Identity))
	}
	return c, err
}

// purpose ties a sealed key to its kind and identity: rows cannot be exchanged.
func purpose(kind fleet.CredentialKind, identity string) string {
	if kind == fleet.KindPSK {
		return "credential/" + identity
	}
	return "credential-" + string(kind) + "/" + identity
}
