package sqlite

import (
	"context"
	"sync"
	"sync/atomic"

	"steward/lwm2m/fleet"
)

// maxHolders bounds what is remembered of keys: some 300 bytes each.
const maxHolders = 4096

// A keyName names a key of a device.
type keyName struct {
	kind     fleet.CredentialKind
	identity string
}

// A holder is a key and whose it is.
type holder struct {
	key    fleet.Credential
	device fleet.Device
}

// holders remember the keys that were read, so that a handshake costs no look into
// the file. All are forgotten when a key or a device changes, before whoever changed
// it hears that it is done.
type holders struct {
	changes atomic.Uint64

	mu sync.RWMutex
	of map[keyName]holder
}

// forgetful reports whether holders are not true any more after a statement.
func forgetful(name string) bool {
	switch name {
	case "device.put", "device.erase", "device.tags", "device_key.insert", "device_key.remove":
		return true
	default:
		return false
	}
}

func (s *holders) keep(n keyName, h holder, changes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes.Load() != changes {
		return
	}
	if s.of == nil || len(s.of) >= maxHolders {
		s.of = make(map[keyName]holder)
	}
	s.of[n] = h
}

func (s *holders) get(n keyName) (holder, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, ok := s.of[n]
	return h, ok
}

func (s *holders) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.Add(1)
	s.of = nil
}

// Holder returns the key of an identity and the device that it is of, or
// fleet.ErrNoCredential. What is returned is not to be changed.
func (s Credentials) Holder(ctx context.Context, kind fleet.CredentialKind, identity string) (
	fleet.Credential, fleet.Device, error,
) {
	n := keyName{kind, identity}
	if h, ok := s.db.holders.get(n); ok {
		return h.key, h.device, nil
	}
	changes := s.db.holders.changes.Load()
	key, err := s.Credential(ctx, kind, identity)
	if err != nil {
		return fleet.Credential{}, fleet.Device{}, err
	}
	device, err := s.db.Devices().Device(ctx, key.Device)
	if err != nil {
		return fleet.Credential{}, fleet.Device{}, err
	}
	s.db.holders.keep(n, holder{key, device}, changes)
	return key, device, nil
}
