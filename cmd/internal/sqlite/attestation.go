package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"steward/est/attest"
	"steward/lwm2m/audit"
)

// Attestations implements attest.Store.
type Attestations struct{ db *DB }

var _ attest.Store = Attestations{}

// Attestations returns the attest.Store of db.
func (db *DB) Attestations() Attestations { return Attestations{db} }

// keptAttestations is how many verdicts of a device stay: at one an hour, those of
// ten days.
const keptAttestations = 240

// A storedReference is a reference value as it stands in the column refs.
type storedReference struct {
	Component []byte `json:"component,omitempty"`
	Algorithm int64  `json:"algorithm"`
	Digest    []byte `json:"digest"`
}

// Attester implements attest.Store.
func (s Attestations) Attester(ctx context.Context, device attest.Hash) (attest.Attester, error) {
	a := attest.Attester{Device: device}
	var key []byte
	var refs string
	var boots, at int64
	err := s.db.QueryRow(ctx, "attester.get", device[:]).Scan(&key, &refs, &boots, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("%w: %x", attest.ErrUnknown, device[:8])
	}
	if err != nil {
		return a, err
	}
	a.BootCount, a.At = uint64(max(boots, 0)), fromMicro(at)
	if a.Key, err = attest.DecodeKey(key); err != nil {
		return a, err
	}
	var stored []storedReference
	if err := json.Unmarshal([]byte(refs), &stored); err != nil {
		return a, err
	}
	for _, r := range stored {
		a.References = append(a.References, attest.Reference{
			Component: r.Component, Digest: attest.Digest{Algorithm: r.Algorithm, Value: r.Digest},
		})
	}
	return a, nil
}

// PutAttester implements attest.Store.
func (s Attestations) PutAttester(ctx context.Context, a attest.Attester, row audit.Row) error {
	key, err := attest.EncodeKey(a.Key)
	if err != nil {
		return err
	}
	stored := make([]storedReference, 0, len(a.References))
	for _, r := range a.References {
		stored = append(stored, storedReference{r.Component, r.Digest.Algorithm, r.Digest.Value})
	}
	refs, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("attester.put", a.Device[:], key, string(refs), a.At.UnixMicro()); err != nil {
			return err
		}
		return tx.Audit(row)
	})
}

// AddResult implements attest.Store.
func (s Attestations) AddResult(ctx context.Context, r attest.Result, row audit.Row) error {
	boots := int64(min(r.BootCount, math.MaxInt64))
	return s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec("attestation.insert", r.Device[:], int64(r.Tier), r.Reason, r.Verdict, r.Transfer, boots,
			r.At.UnixMicro())
		if err == nil {
			_, err = tx.Exec("attester.booted", boots, r.Device[:])
		}
		if err == nil {
			_, err = tx.Exec("attestation.trim", r.Device[:], r.Device[:], keptAttestations)
		}
		if err != nil || row == (audit.Row{}) {
			return err
		}
		return tx.Audit(row)
	})
}

// Results implements attest.Store.
func (s Attestations) Results(ctx context.Context, device attest.Hash, limit int) ([]attest.Result, error) {
	rows, err := s.db.Query(ctx, "attestation.of_device", device[:], limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (attest.Result, error) {
		out := attest.Result{Device: device}
		var tier, boots, at int64
		err := r.Scan(&tier, &out.Reason, &out.Verdict, &out.Transfer, &boots, &at)
		out.Tier, out.BootCount, out.At = attest.Tier(tier), uint64(max(boots, 0)), fromMicro(at) //nolint:gosec // our own
		return out, err
	})
}
