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

// OpenTransfers returns up to limit transfers that have not ended, the last
// stored first.
func (v View) OpenTransfers(ctx context.Context, limit int) ([]coordinator.Transfer, error) {
	rows, err := v.db.Query(ctx, "view.open_transfers", limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Transfer, error) { return scanTransfer(r) })
}
