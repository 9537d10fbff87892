package app

import (
	"context"

	"steward/lwm2m/coap"
)

// watchEnrolment passes requests to EST and remembers who came with a factory
// certificate.
func (a *App) watchEnrolment(next coap.Handler) coap.Handler {
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if r.Peer.Identity().Role == coap.RoleFactory {
			a.factory.note(r.Peer)
		}
		return next.ServeCoAP(ctx, r)
	})
}
