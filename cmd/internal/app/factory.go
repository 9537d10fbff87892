package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// maxFactoryPeers bounds the factory associations remembered: they live for the
// minutes of an enrolment.
const maxFactoryPeers = 65536

// errNoFactoryPeer reports a device that has no association by its factory
// certificate now.
var errNoFactoryPeer = errors.New("device has no association by its factory certificate")

// factoryPeers remembers the associations that devices opened with their factory
// certificates, so that a device in FALLBACK can be asked for its receipt.
type factoryPeers struct {
	mu    sync.Mutex
	peers map[[32]byte]coap.Peer
}

func newFactoryPeers() *factoryPeers { return &factoryPeers{peers: map[[32]byte]coap.Peer{}} }

func (f *factoryPeers) note(p coap.Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.peers) < maxFactoryPeers {
		f.peers[p.Identity().Certificate] = p
	}
}

func (f *factoryPeers) closed(p coap.Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id := p.Identity().Certificate; f.peers[id] == p {
		delete(f.peers, id)
	}
}

func (f *factoryPeers) find(certificate [32]byte) (coap.Peer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.peers[certificate]
	return p, ok
}

// errFactoryRefused reports a device that answered with an error of its own.
var errFactoryRefused = errors.New("refused by the device")

// readFactory reads a resource over the association that the device opened with
// its factory certificate.
func (a *App) readFactory(ctx context.Context, certificate [32]byte, p lwm2m.Path) ([]lwm2m.Entry, error) {
	peer, ok := a.factory.find(certificate)
	if !ok {
		return nil, errNoFactoryPeer
	}
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
