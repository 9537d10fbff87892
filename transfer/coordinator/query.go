package coordinator

import (
	"context"

	"steward/transfer"
)

// List returns transfers, see Store.
func (c *Coordinator) List(ctx context.Context, before string, limit int) ([]Transfer, error) {
	return c.o.Store.ListTransfers(ctx, before, limit)
}

// Get returns a transfer, or ErrUnknown.
func (c *Coordinator) Get(ctx context.Context, id string) (Transfer, error) {
	return c.o.Store.Transfer(ctx, id)
}

// Documents returns those of a transfer, or ErrUnknown.
func (c *Coordinator) Documents(ctx context.Context, id string) (Documents, error) {
	return c.o.Store.Documents(ctx, id)
}

// Rows returns a page of a transfer's devices, see Store.
func (c *Coordinator) Rows(ctx context.Context, id, after string, limit int) ([]Row, error) {
	return c.o.Store.ListRows(ctx, id, after, limit)
}

// Row returns a device of a transfer by its Short, or ErrUnknown.
func (c *Coordinator) Row(ctx context.Context, id, short string) (Row, error) {
	return c.o.Store.Row(ctx, id, short)
}

// Count returns how many rows of a transfer are in each state.
func (c *Coordinator) Count(ctx context.Context, id string) (map[transfer.RowState]int, error) {
	return c.o.Store.Count(ctx, id)
}

// Receipts returns a device's receipts in a transfer, the oldest first.
func (c *Coordinator) Receipts(ctx context.Context, id, short string) ([]Receipt, error) {
	return c.o.Store.Receipts(ctx, id, short)
}

// Partners returns all partners.
func (c *Coordinator) Partners(ctx context.Context) ([]Partner, error) {
	return c.o.Store.ListPartners(ctx)
}

// Partner returns one, or ErrUnknown.
func (c *Coordinator) Partner(ctx context.Context, id string) (Partner, error) {
	return c.o.Store.Partner(ctx, id)
}
