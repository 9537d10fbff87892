package coordinator

import (
	"context"
	"errors"
	"slices"

	"steward/est"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// maxEarlier is how many of a device's transfers are looked at for that by which it came.
const maxEarlier = 100

// recordOrigin says in a record by which hand-over a device that is handed over had come
// to us, and what factory certificates it has had here since.
func (c *Coordinator) recordOrigin(ctx context.Context, row Row, d *transfer.RecordDevice) error {
	if row.Incoming {
		return nil
	}
	factory, rekeys := row.Factory, []transfer.RecordRekey(nil)
	for {
		came, err := c.came(ctx, row, factory)
		if err != nil {
			return err
		}
		if len(came) > 0 {
			slices.Reverse(rekeys)
			d.Came, d.Rekeys = came, rekeys
			return nil
		}
		by, err := c.o.CA.Succession(ctx, est.Hash(factory))
		if errors.Is(err, est.ErrUnknown) || len(rekeys) == transfer.MaxRecordRekeys {
			return nil // it began here
		}
		if err != nil {
			return err
		}
		rekeys = append(rekeys, transfer.RecordRekey{Former: by.Old, Next: by.New, Proof: by.Proof})
		factory = fleet.Factory(transfer.HashOf(by.Old))
	}
}

// came returns the hash of the FINALISED receipt by which a device with that factory
// certificate had come to us before a transfer; nil where it had not.
func (c *Coordinator) came(ctx context.Context, before Row, factory fleet.Factory) ([]byte, error) {
	all, err := c.o.Store.FactoryRows(ctx, factory, maxEarlier)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(r Row) bool { return r.Transfer == before.Transfer }) // -1: it is of a later one
	for _, r := range all[at+1:] {
		if !r.Incoming || r.State != transfer.RowFinalised && r.State != transfer.RowRevokedOld {
			continue
		}
		receipts, err := c.o.Store.Receipts(ctx, r.Transfer, r.Short)
		if err != nil {
			return nil, err
		}
		for _, receipt := range slices.Backward(receipts) {
			if receipt.State == transfer.Finalised {
				return receipt.Hash[:], nil
			}
		}
	}
	return nil, nil
}
