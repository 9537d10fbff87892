package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"steward/cmd/internal/services"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
)

// retireNow has a device erase the data that it holds for us and sign that it has. The
// record proves it to others.
func (a *App) retireNow(ctx context.Context, id fleet.ID, factory fleet.Factory) (record []byte, err error) {
	if a.cfg.IDs.Transfer == 0 {
		return nil, fmt.Errorf("%w: the hand-over, and its objects, are off", services.ErrDeviceRefused)
	}
	devices := deviceCalls{a.server, services.ErrDeviceRefused, services.ErrDeviceSilent, services.ErrDeviceSilent}
	base := lwm2m.NewPath(a.cfg.IDs.Transfer, 0)
	entries, err := devices.Read(ctx, id, base)
	if err != nil {
		return nil, err
	}
	state, err := objects.DecodeTransfer(base, entries)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", services.ErrDeviceRefused, err)
	}
	order := transfer.Order{Epoch: state.Epoch}
	if _, err := rand.Read(order.Hash[:]); err != nil {
		return nil, err
	}
	if err := devices.Execute(ctx, id, base.Child(objects.TransferRetire), order.String()); err != nil {
		return nil, err
	}
	path := base.Child(objects.TransferRetired)
	if entries, err = devices.Read(ctx, id, path); err != nil {
		return nil, err
	}
	err = fmt.Errorf("%w: there is none", transfer.ErrRetirement)
	for _, e := range entries {
		if e.Path == path && e.Value.Kind() == lwm2m.KindOpaque {
			record, err = a.retirement(ctx, factory, order, e.Value.Bytes())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its receipt: %w", services.ErrDeviceRefused, err)
	}
	return record, nil
}

// retirement holds a device's receipt against our order and our inventory.
func (a *App) retirement(ctx context.Context, factory fleet.Factory, order transfer.Order, raw []byte) ([]byte, error) {
	said, err := transfer.ParseRetirement(raw)
	if err != nil {
		return nil, err
	}
	right, err := a.pki.ca.Right(ctx, est.Hash(factory))
	if err != nil {
		return nil, err
	}
	issued, err := a.pki.ca.LiveRecord(ctx, est.Hash(said.Operational), a.now())
	if err != nil {
		return nil, err
	}
	if issued.Factory != est.Hash(factory) ||
		!bytes.Equal(said.Nonce, order.Hash[:]) || said.Epoch != uint64(order.Epoch) {
		return nil, fmt.Errorf("%w: for another order or device", transfer.ErrRetirement)
	}
	return transfer.RetirementRecord{
		Provider: a.cfg.Name, Factory: right.FactoryDER, Operational: issued.DER, Retirement: raw,
	}.Encode()
}
