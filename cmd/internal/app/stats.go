package app

import (
	"context"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/transport"
	"steward/suit/rollout"
)

// SocketStats returns the counters of the coaps endpoint.
func (a *App) SocketStats() transport.Stats { return a.coaps.Stats() }

// ReadDevice reads from a device, as the web side does for people. Its errors are
// those of server.Read.
func (a *App) ReadDevice(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	return a.server.Read(ctx, id, p)
}

// StockRelease stores a release, as the web side does for people.
func (a *App) StockRelease(ctx context.Context, r rollout.Release, c rollout.Content) error {
	return a.db.Rollout().AddRelease(ctx, r, c)
}

// PushRelease pushes a release to a device, as campaigns do. Its errors are those of
// rollout.Deliverer.
func (a *App) PushRelease(ctx context.Context, id fleet.ID, r rollout.Release) error {
	return a.courier.Deliver(ctx, rollout.Order{Device: id, Release: r, Delivery: rollout.Push})
}
