package sqlite

import (
	"errors"
	"fmt"

	"steward/est"
	"steward/lwm2m/fleet"
)

// renameFactory gives right, certificates and device the name of the factory
// certificate that has taken the place of another, if ch says so. It returns the
// device, "" for none.
func renameFactory(tx *Tx, ch est.Change) (fleet.ID, error) {
	if ch.Renamed == (est.Hash{}) || ch.Right == nil {
		return "", nil
	}
	r, before := ch.Right, ch.Renamed
	var moving int
	if err := tx.QueryRow("transfer_row.busy", before[:]).Scan(&moving); err != nil {
		return "", fmt.Errorf("transfer_row.busy: %w", err)
	}
	if moving > 0 {
		return "", fmt.Errorf("%w: %s", est.ErrMoving, r.Endpoint)
	}
	var taken int
	if err := tx.QueryRow("right.named", r.Factory[:]).Scan(&taken); err != nil {
		return "", fmt.Errorf("right.named: %w", err)
	}
	conflict := fmt.Errorf("%w: right of %s", est.ErrConflict, r.Endpoint)
	if taken > 0 {
		return "", conflict
	}
	if err := tx.one(conflict, "right.rename", before[:], r.Version, r.Factory[:], r.FactoryDER); err != nil {
		return "", err
	}
	if err := putSuccession(tx, ch); err != nil {
		return "", err
	}
	for _, statement := range []string{"certificate.rename", "attester.rename"} {
		if _, err := tx.Exec(statement, before[:], r.Factory[:]); err != nil {
			return "", err
		}
	}
	d, err := scanDevice(tx.QueryRow("device.by_factory", before[:]))
	if errors.Is(err, fleet.ErrUnknown) { // a right without a device
		return "", nil
	}
	if err != nil {
		return "", err
	}
	d.Factory = fleet.Factory(r.Factory)
	return d.ID, putDevice(tx, d, "device:"+r.Endpoint, "has another factory certificate")
}
