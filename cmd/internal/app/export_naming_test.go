package app

import (
	"context"
	"time"

	"steward/est"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// IdentifyBy says who a client with a chain is, where names are found by n.
func IdentifyBy(ctx context.Context, ca *est.CA, devices fleet.Store, n fleet.Naming, chain [][]byte) (
	coap.Identity, error,
) {
	return (&credentials{ca: ca, devices: devices, naming: n}).ofChain(ctx, chain)
}

// Stands says whether a certificate still stands for a name.
func Stands(
	ctx context.Context, ca *est.CA, devices fleet.Store, n fleet.Naming, who coap.Identity, now time.Time,
) error {
	return (&credentials{ca: ca, devices: devices, naming: n}).stands(ctx, who, now)
}
