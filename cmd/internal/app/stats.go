package app

import (
	"context"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/transport"
)

// SocketStats returns the counters of the coaps endpoint.
func (a *App) SocketStats() transport.Stats { return a.coaps.Stats() }

// ReadDevice reads from a device, as the web side does for people. Its errors are
// those of server.Read.
func (a *App) ReadDevice(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	return a.server.Read(ctx, id, p)
}
