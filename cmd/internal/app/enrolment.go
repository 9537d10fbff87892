package app

import (
	"context"

	"steward/est/estcoap"
	"steward/lwm2m/coap"
)

// watchEnrolment passes requests to EST and remembers who came with a factory
// certificate.
func (a *App) watchEnrolment(next coap.Handler) coap.Handler {
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if r.Peer.Identity().Role != coap.RoleFactory {
			return next.ServeCoAP(ctx, r)
		}
		a.factory.note(r.Peer)
		res := next.ServeCoAP(ctx, r)
		if a.cfg.HandOver && res != nil && r.Path[len(r.Path)-1] == estcoap.Enrol {
			res.Sent = func() { a.enrolled(r, res) }
		}
		return res
	})
}
