package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

const (
	// maxFactoryPeers bounds the devices remembered: they enrol for minutes.
	maxFactoryPeers = 65536
	// maxCallers bounds the associations of each. An honest device has one, or two
	// after a restart; the others have copied its factory key.
	maxCallers = 8
)

// errNoFactoryPeer reports a device that has no association by its factory
// certificate now.
var errNoFactoryPeer = errors.New("device has no association by its factory certificate")

// factoryPeers remembers the associations that devices opened with their factory
// certificates, so that a device in FALLBACK can be asked for its receipt. Which
// of several is the device, the receipt tells: each has its turn, so that whoever
// holds a copy of the key cannot keep the device from being asked.
type factoryPeers struct {
	mu    sync.Mutex
	peers map[[32]byte]*callers
}

// callers are the associations by one certificate, the newest last.
type callers struct {
	peers []coap.Peer
	turn  int
}

func newFactoryPeers() *factoryPeers { return &factoryPeers{peers: map[[32]byte]*callers{}} }

func (f *factoryPeers) note(p coap.Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := p.Identity().Certificate
	c := f.peers[id]
	switch {
	case c == nil && len(f.peers) >= maxFactoryPeers:
		return
	case c == nil:
		c = &callers{}
		f.peers[id] = c
	case slices.Contains(c.peers, p):
		return
	case len(c.peers) >= maxCallers: // whoever comes in masses mostly drives out his own
		at := rand.IntN(len(c.peers)) //nolint:gosec // G404: fairness, not secrecy
		c.peers = slices.Delete(c.peers, at, at+1)
	}
	c.peers = append(c.peers, p)
}

func (f *factoryPeers) closed(p coap.Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := p.Identity().Certificate
	c := f.peers[id]
	if c == nil {
		return
	}
	c.peers = slices.DeleteFunc(c.peers, func(o coap.Peer) bool { return o == p })
	if len(c.peers) == 0 {
		delete(f.peers, id)
	}
}

// next returns the association to be asked: the newest first, then in turn.
func (f *factoryPeers) next(certificate [32]byte) (coap.Peer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.peers[certificate]
	if c == nil {
		return nil, false
	}
	p := c.peers[len(c.peers)-1-c.turn%len(c.peers)]
	c.turn++
	return p, true
}

// errFactoryRefused reports a device that answered with an error of its own.
var errFactoryRefused = errors.New("refused by the device")

// factoryPatience is for how many acknowledgement timeouts (RFC 7252 §4.8) one
// association is waited for: three transmissions, then it is the next one's turn.
const factoryPatience = 8

// readFactory reads a resource over the association that the device opened with
// its factory certificate.
func (a *App) readFactory(ctx context.Context, certificate [32]byte, p lwm2m.Path) ([]lwm2m.Entry, error) {
	peer, ok := a.factory.next(certificate)
	if !ok {
		return nil, errNoFactoryPeer
	}
	ctx, cancel := context.WithTimeout(ctx, factoryPatience*a.cfg.AckTimeout)
	defer cancel()
	res, err := a.engine.Do(ctx, peer, &coap.Request{
		Method: coap.GET, Path: p.Segments(), Accept: coap.FormatID(codec.Opaque),
	})
	if err != nil {
		return nil, err
	}
	if !res.Code.IsSuccess() {
		return nil, fmt.Errorf("read %s by the factory association: %w: %s", p, errFactoryRefused, res.Code)
	}
	f, _ := res.ContentFormat.ID()
	return codec.Decode(f, p, res.Payload, a.registry)
}
