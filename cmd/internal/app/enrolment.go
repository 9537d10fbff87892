package app

import (
	"context"
	"fmt"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/est/estcoap"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
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

// lateRenewal passes requests of devices whose certificate ended within the grace to
// an authority that knows only renewal, and all others on.
func (a *App) lateRenewal(next coap.Handler) (coap.Handler, error) {
	byLabel, err := labels(a, func(ca *est.CA) estcoap.Authority { return lateCA{ca, a.cfg.ExpiredGrace} })
	if err != nil {
		return nil, err
	}
	late, err := estcoap.NewServer(estcoap.ServerOptions{
		CA: lateCA{a.pki.ca, a.cfg.ExpiredGrace}, Labels: byLabel, C509: a.cfg.C509, Refused: a.refusedEnrolment, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if r.Peer.Identity().Role != coap.RoleExpired {
			return next.ServeCoAP(ctx, r)
		}
		asked := *r
		asked.Peer = latePeer{r.Peer}
		return late.ServeCoAP(ctx, &asked)
	}), nil
}

// A latePeer is a device in grace as the EST server is to see it: one that may renew.
type latePeer struct{ coap.Peer }

// Identity implements coap.Peer.
func (p latePeer) Identity() coap.Identity {
	id := p.Peer.Identity()
	id.Role = coap.RoleOperational
	return id
}

// ChannelBinding implements coap.Bound.
func (p latePeer) ChannelBinding() []byte {
	if b, ok := p.Peer.(coap.Bound); ok {
		return b.ChannelBinding()
	}
	return nil
}

// A lateCA renews certificates that ended within the grace.
type lateCA struct {
	*est.CA

	grace time.Duration
}

// Reenrol implements estcoap.Authority.
func (ca lateCA) Reenrol(ctx context.Context, r est.Request) (est.Issued, error) {
	r.Client.Role = est.RoleExpired
	return ca.ReenrolExpired(ctx, r, ca.grace)
}

// An inventory is an est.Store that tells of what was issued.
type inventory struct {
	est.Store

	issued func()
}

// Commit implements est.Store.
func (s inventory) Commit(ctx context.Context, ch est.Change) error {
	err := s.Store.Commit(ctx, ch)
	if err == nil && len(ch.Insert) > 0 {
		s.issued()
	}
	return err
}

// issued tells the runner, once there is one: before, it finds by itself what was
// issued.
func (a *App) issued() {
	if a.enrolment != nil {
		a.enrolment.Issued()
	}
}

// enrolDevices implements enrol.Devices.
type enrolDevices struct{ deviceCalls }

// Listens implements enrol.Devices.
func (d enrolDevices) Listens(id fleet.ID) (bool, time.Time) {
	p := d.server.Presence(id)
	return p.Registered && !p.Asleep, p.Wake
}

// buildEnrolment makes what leads devices through renewal.
func (a *App) buildEnrolment() (err error) {
	a.rekeys = newRekeys(a)
	comeback := "the device may come back by its factory certificate, with the key that it had last"
	if a.cfg.ExpiredGrace > 0 {
		comeback = fmt.Sprintf("it may still renew until %v after its end; later %s", a.cfg.ExpiredGrace, comeback)
	}
	a.enrolment, err = enrol.NewRunner(enrol.RunnerOptions{
		Store: a.db.Enrolments(), Fleet: a.devices, Inventory: a.pki.ca,
		Devices: enrolDevices{deviceCalls{a.server, enrol.ErrRefused, enrol.ErrUnreachable, enrol.ErrAsleep}},
		Object:  a.cfg.IDs.Enrolment, Policies: a.cfg.Renewals, Rate: a.cfg.RenewalRate, Comeback: comeback,
		Retry: a.cfg.Retry, Changed: a.hub.Enrolment, Log: a.log, RekeyArrived: a.cfg.RekeyArrived,
	})
	return err
}

// wake tells those who wait for a device that it sent something.
func (a *App) wake(e server.Event) {
	a.queue.Wake(e.Device)
	a.enrolment.Wake(e.Device)
	if e.Kind == server.Registered {
		a.rounds.Consider(e.Device)
	}
	a.rounds.Wake(e.Device)
}
