package app

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"steward/est"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// led are the associations on which a bootstrap ended with security mode 4, and who
// enrols on them. One ends with its association.
type led struct {
	mu      sync.Mutex
	clients map[coap.Peer]ledClient
}

// A ledClient is one of them, and since when.
type ledClient struct {
	est.Client

	at time.Time
}

// Bounds of those who were led and do not come: an association may have ended while
// its right was made.
const (
	maxLed  = 8192
	ledTime = time.Hour
)

func (l *led) put(p coap.Peer, c est.Client, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients == nil {
		l.clients = map[coap.Peer]ledClient{}
	}
	if len(l.clients) >= maxLed {
		maps.DeleteFunc(l.clients, func(_ coap.Peer, c ledClient) bool { return now.Sub(c.at) > ledTime })
	}
	if len(l.clients) < maxLed {
		l.clients[p] = ledClient{c, now}
	}
}

func (l *led) closed(p coap.Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, p)
}

func (l *led) get(p coap.Peer) (est.Client, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.clients[p]
	return c.Client, ok
}

// finishing lets a device without a factory certificate enrol on the association of
// its bootstrap, if its profile says so (Core §E.1, mode 4). One with a factory
// certificate has a right by that.
func (a *App) finishing(ctx context.Context, p coap.Peer, id fleet.ID) {
	if p.Identity().Role != coap.RoleBootstrap {
		return
	}
	d, err := a.devices.Device(ctx, id)
	if err != nil {
		a.logError(ctx, "device at the end of its bootstrap", err)
		return
	}
	profiles, err := a.db.Bootstrap().Profiles(ctx)
	if err != nil {
		a.logError(ctx, "profile at the end of a bootstrap", err)
		return
	}
	if profile, ok := bootstrap.For(profiles, d.Tags); !ok || profile.Mode != bootstrap.ModeEST {
		return
	}
	client, err := a.pki.ca.OpenBootstrap(ctx, string(d.Endpoint))
	if err != nil {
		a.logError(ctx, "right by bootstrap", err)
		return
	}
	a.led.put(p, client, a.now())
}

// estClient says who a peer is to the CA: whom its certificate names, or, without
// one, whom a bootstrap on this very association has led here.
func (a *App) estClient(_ context.Context, p coap.Peer) (est.Client, error) {
	id := p.Identity()
	if id.Role != coap.RoleBootstrap {
		return est.Client{Role: est.Role(id.Role), Certificate: id.Certificate, Name: id.Name}, nil
	}
	c, ok := a.led.get(p)
	if !ok {
		return est.Client{}, fmt.Errorf("%w: no bootstrap on this association has led %q to enrolment",
			est.ErrForbidden, id.Name)
	}
	return c, nil
}
