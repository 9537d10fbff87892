package sqlite

import (
	"context"
	"database/sql"

	"steward/lwm2m/fleet"
	"steward/transfer/coordinator"
)

// TransfersOf returns the rows of a device in up to limit transfers, the last
// stored first.
func (v View) TransfersOf(ctx context.Context, factory fleet.Factory, limit int) ([]coordinator.Row, error) {
	rows, err := v.db.Query(ctx, "view.transfer_rows_of_device", factory[:], limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Row, error) { return scanTransferRow(r) })
}

// A Proof counts what proves how a device of a transfer went.
type Proof struct {
	Short    string // of the device
	Receipts int
	Revoked  int // operational certificates of ours
	Valid    int // likewise, not revoked
}

// TransferProofs returns those of the devices of a transfer from one Short to another,
// by Short.
func (v View) TransferProofs(ctx context.Context, id, from, to string) (map[string]Proof, error) {
	rows, err := v.db.Query(ctx, "view.transfer_proof", id, from, to)
	if err != nil {
		return nil, err
	}
	all, err := collect(rows, func(r *sql.Rows) (p Proof, err error) {
		return p, r.Scan(&p.Short, &p.Receipts, &p.Revoked, &p.Valid)
	})
	out := make(map[string]Proof, len(all))
	for _, p := range all {
		out[p.Short] = p
	}
	return out, err
}

// OpenTransfers returns up to limit transfers that have not ended, the last
// stored first.
func (v View) OpenTransfers(ctx context.Context, limit int) ([]coordinator.Transfer, error) {
	rows, err := v.db.Query(ctx, "view.open_transfers", limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Transfer, error) { return scanTransfer(r) })
}
