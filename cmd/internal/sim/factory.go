package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"steward/cmd/internal/bundle"
	"steward/objects"
)

// factoryKey is where a factory key and certificate of the device's own stand in the
// memory; nothing: those of the bundle are in force.
const factoryKey = "factory"

// A factoryIdentity is the device's permanent identity.
type factoryIdentity struct {
	key   crypto.Signer
	chain [][]byte // factory certificate first
	made  bool     // by the device itself
}

// storedFactory is a factoryIdentity in the memory.
type storedFactory struct {
	Key         []byte `json:"key"` // PKCS #8
	Certificate []byte `json:"certificate"`
}

// readFactory returns the identity that was stored, or that of the bundle.
func readFactory(b *bundle.Bundle, stored []byte) (out factoryIdentity, err error) {
	if stored == nil {
		out.key, out.chain, err = b.FactoryIdentity()
		return out, err
	}
	var s storedFactory
	if err := json.Unmarshal(stored, &s); err != nil {
		return out, fmt.Errorf("factory key: %w", err)
	}
	out.key, err = parseKey(s.Key)
	out.chain, out.made = [][]byte{s.Certificate}, true
	return out, err
}

func parseKey(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("factory key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: factory key is not an EC key", ErrOptions)
	}
	return key, nil
}

// origin is what object Enrolment tells of the key.
func (f *factoryIdentity) origin() *int64 {
	origin := int64(objects.KeyOriginPermanent)
	if f.made {
		origin = objects.KeyOriginDevice
	}
	return &origin
}

func (f *factoryIdentity) tls() *tls.Certificate {
	return &tls.Certificate{Certificate: f.chain, PrivateKey: f.key}
}

// factory returns the identity in force.
func (l *life) factory() factoryIdentity {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own
}

// identities returns the factory certificates by which an enrolment server may know
// the device, the likeliest first. Out of rest it is the one that the message and the
// receipts name.
func (l *life) identities() []*tls.Certificate {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := []*tls.Certificate{l.own.tls()}
	if next, err := l.rekeying.identity(); err == nil && l.state.AtRest() {
		return append([]*tls.Certificate{next.tls()}, own...)
	}
	return own
}
