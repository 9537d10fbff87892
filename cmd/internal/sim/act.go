package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"steward/est/estcoap"
	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/objects"
	"steward/transfer"
)

// act tries what the device is to do in its present state, and sets the time of
// the next try where that fails.
func (l *life) act(ctx context.Context, waiting *transfer.Effect) {
	var err error
	switch {
	case waiting != nil:
		err = l.activity(ctx, waiting)
	case l.serves():
		err = l.serve(ctx)
	default:
		return
	}
	if ctx.Err() != nil || l.failure() != nil {
		return
	}
	if err == nil {
		l.retryAt, l.failures = time.Time{}, 0
		return
	}
	l.failures++
	delay := l.o.retry().Delay(l.failures, dice())
	if status, ok := errors.AsType[*estcoap.StatusError](err); ok && status.Retry > 0 {
		delay = min(status.Retry, l.o.RetryMax) + time.Duration(dice()*float64(l.o.RetryFirst)/4)
	}
	l.retryAt = time.Now().Add(delay)
	l.d.event(l.about(Event{Kind: Retrying, Detail: "in " + delay.Round(time.Millisecond).String(), Error: err.Error()}))
	l.d.started()
}

// serves reports whether the device is to be reachable for the provider of its
// current domain, or in DONE for that of the next.
func (l *life) serves() bool {
	s := l.current()
	return s.AtRest() || s == transfer.Ready || s == transfer.Done
}

// activity tries what the transfer waits for.
func (l *life) activity(ctx context.Context, e *transfer.Effect) error {
	var err error
	switch e.Do {
	case transfer.DoEnrol:
		err = l.enrolThere(ctx, e)
	case transfer.DoRegister:
		if e.Renew {
			err = l.refresh(ctx, e.Home)
		}
		if err == nil {
			err = l.register(ctx, e.Home, e.Anchors)
		}
		if err == nil {
			return l.with((*transfer.Device).Registered)
		}
	case transfer.DoAttest:
		err = l.attestThere(ctx, e)
	case transfer.DoUpdate:
		err = l.updateThere(ctx, e)
	default:
		err = fmt.Errorf("%w: %s", ErrNotImplemented, e.Do)
	}
	if err != nil && ctx.Err() == nil {
		return errors.Join(err, l.with((*transfer.Device).Failed))
	}
	return err
}

// enrolThere enrols at the provider that the effect names: the next one, or in
// FALLBACK the former one.
func (l *life) enrolThere(ctx context.Context, e *transfer.Effect) error {
	there, err := l.factoryLink(ctx, e.URI, e.Anchors, true)
	if err != nil {
		return err
	}
	certificate, err := l.enrol(ctx, there, e.URI, e.Key, e.Anchors)
	if err == nil {
		l.links.drop(there, l.cl)
		l.d.event(l.about(Event{Kind: Enrolled, Server: there.host}))
		return l.with(func(tr *transfer.Device) error { return tr.Enrolled(certificate.Raw) })
	}
	status, ok := errors.AsType[*estcoap.StatusError](err)
	if !ok && !errors.Is(err, estcoap.ErrAnswer) {
		l.links.drop(there, l.cl) // perhaps the server has forgotten us
	}
	if ok && transfer.PermanentRefusal(uint8(status.Code)) {
		return errors.Join(err, l.with(func(tr *transfer.Device) error { return tr.Refused(int64(status.Code)) }))
	}
	return err
}

// serve keeps the device enrolled and registered.
func (l *life) serve(ctx context.Context) error {
	l.mu.Lock()
	home, asked := l.tr.Home(), l.renewal.asked
	_, certificate, ok := l.tr.Operational()
	enrolAnchors, anchors := l.tr.Trusted(transfer.Enrol), l.tr.Trusted(transfer.DM)
	resting := l.state != transfer.Done
	l.mu.Unlock()
	if resting && (!ok || l.expired(certificate) || l.refused >= maxRefused) {
		l.refused = 0
		if err := l.enrolHome(ctx, home, enrolAnchors); err != nil {
			return err
		}
		certificate = l.inUse()
	}
	m := l.links.management()
	if m == nil {
		if err := l.register(ctx, home, anchors); err != nil {
			return errors.Join(err, l.adrift(ctx))
		}
		m = l.links.management()
	}
	switch {
	case m == nil:
		return nil
	case !resting:
		return l.assure(ctx, m)
	case asked || l.due(certificate):
		return l.renew(ctx, m, home)
	case l.rekeys():
		l.rekey(ctx, m, home)
	}
	return nil
}

// adrift counts in DONE that the new provider does not let the device register.
func (l *life) adrift(ctx context.Context) error {
	if l.current() == transfer.Done && ctx.Err() == nil {
		return l.with((*transfer.Device).Failed)
	}
	return nil
}

// register opens an association to the LwM2M server with the operational
// certificate, and registers, or takes the registration of the association before
// along.
func (l *life) register(ctx context.Context, home transfer.Home, anchors []transfer.Anchor) error {
	certificate, former, err := l.shown()
	if err == nil {
		err = l.registerBy(ctx, certificate, home, anchors)
	}
	if err != nil {
		l.unserved(err)
		return err
	}
	return l.served(former)
}

func (l *life) registerBy(
	ctx context.Context, certificate *tls.Certificate, home transfer.Home, anchors []transfer.Anchor,
) error {
	m, err := l.dial(ctx, dialing{
		uri: home.ServerURI, certificate: certificate, anchors: anchors, phase: phaseManagement,
	})
	if err != nil {
		return err
	}
	kind := Registered
	if old := l.links.last(); old != nil {
		// A registration ends with its stream (LwM2M Transport Binding 1.2.2 §6.5).
		if !m.conn.Stream() && old.host == m.host && l.cl.Move(old.conn, m.conn) {
			kind = Reconnected
		}
		l.links.drop(old, l.cl)
	}
	l.links.manage(m)
	if kind == Reconnected {
		if err = l.cl.Update(ctx, m.conn); errors.Is(err, client.ErrNotRegistered) {
			kind = Registered
		}
	}
	if kind == Registered {
		err = l.registerAnew(ctx, m, home.Account)
	}
	if err != nil {
		l.links.drop(m, l.cl)
		return err
	}
	l.pingAt = time.Time{}
	l.d.event(l.about(Event{Kind: kind, Server: m.host}))
	l.d.meters.save()
	l.d.started()
	return nil
}

func (l *life) registerAnew(ctx context.Context, m *link, a transfer.Account) error {
	l.account.set(a)
	l.cl.Attach(m.conn, client.Account{
		Server:   uint16(a.SSID),                          //nolint:gosec // checked when it was accepted
		Lifetime: time.Duration(a.Lifetime) * time.Second, //nolint:gosec // likewise
	})
	l.told = false
	return l.cl.Register(ctx, m.conn)
}

// operational returns the certificate for associations with the LwM2M server.
func (l *life) operational() (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, certificate, ok := l.tr.Operational()
	if !ok {
		return nil, fmt.Errorf("%w: no operational certificate", ErrOptions)
	}
	return &tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}, nil
}

// inUse is the operational certificate; nil: none.
func (l *life) inUse() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, certificate, _ := l.tr.Operational()
	return certificate
}

// lost is told by the client that its registration could not be refreshed.
func (l *life) lost(p coap.Peer, err error) {
	if l.links.condemn(p) {
		l.d.event(Event{Kind: Retrying, Detail: "registration update", Error: err.Error()})
		l.poke()
	}
}

// keepAlive pings the server where that was asked for, so that a restart of the
// server is noticed before the next registration update. A device in queue mode
// updates its registration instead, for that says that it listens.
func (l *life) keepAlive(ctx context.Context, now time.Time) time.Time {
	m := l.links.management()
	if m == nil || l.o.KeepAlive <= 0 {
		return time.Time{}
	}
	if l.pingAt.IsZero() {
		l.pingAt = now.Add(l.o.KeepAlive/2 + time.Duration(dice()*float64(l.o.KeepAlive)/2))
	}
	if now.Before(l.pingAt) {
		return l.pingAt
	}
	l.pingAt = now.Add(l.o.KeepAlive)
	if l.o.Queue {
		l.cl.RequestUpdate(m.conn)
		return l.pingAt
	}
	l.work.Go(func() {
		if err := l.engine.Ping(ctx, m.conn); err != nil && ctx.Err() == nil {
			l.lost(m.conn, err)
		}
	})
	return l.pingAt
}

// assure sends the DONE receipt to the new provider until it is acknowledged:
// only then may the device finalise by itself.
func (l *life) assure(ctx context.Context, m *link) error {
	if l.told {
		return nil
	}
	receipt := lwm2m.NewPath(l.d.b.IDs().Transfer, 0, objects.TransferReceipt)
	ctx, cancel := context.WithTimeout(ctx, 8*l.o.AckTimeout)
	defer cancel()
	if err := l.cl.Send(ctx, m.conn, receipt); err != nil {
		if l.current() != transfer.Done {
			return nil // it was finalised meanwhile
		}
		return fmt.Errorf("receipt not acknowledged: %w", err)
	}
	l.told = true
	return l.with((*transfer.Device).Acknowledged)
}
