package app

import (
	"net/netip"

	"steward/lwm2m/fleet"
)

// StreamAddrs are the bound addresses of CoAP over TCP and TLS, zero for none.
func (a *App) StreamAddrs() (tcp, tls netip.AddrPort) {
	if a.streams.tcp != nil {
		tcp = a.streams.tcp.Addr()
	}
	if a.streams.tls != nil {
		tls = a.streams.tls.Addr()
	}
	return tcp, tls
}

// Reachable reports whether a device can be asked now, and by which transport.
func (a *App) Reachable(id fleet.ID) (string, bool) {
	return a.server.Transport(id), a.server.Reachable(id)
}
