package app

import "steward/lwm2m/transport"

// SocketStats returns the counters of the coaps endpoint.
func (a *App) SocketStats() transport.Stats { return a.coaps.Stats() }
