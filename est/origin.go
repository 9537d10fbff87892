package est

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m/audit"
)

// A KeyOrigin says who made the key of a factory certificate: whoever did may have
// kept a copy.
type KeyOrigin string

// The origins of a key. The zero value is not known, which counts as the provider.
const (
	OriginUnknown  KeyOrigin = ""
	OriginDevice   KeyOrigin = "device"   // made in the device, and never outside
	OriginProvider KeyOrigin = "provider" // made by a service provider
	OriginCA       KeyOrigin = "ca"       // made by the permanent CA
)

// ParseKeyOrigin reads an origin by its name, or "". It returns ErrOrigin.
func ParseKeyOrigin(text string) (KeyOrigin, error) {
	switch o := KeyOrigin(text); o {
	case OriginUnknown, OriginDevice, OriginProvider, OriginCA:
		return o, nil
	}
	return "", fmt.Errorf("%w: %.20q, want device, provider or ca", ErrOrigin, text)
}

// A FactoryOrigin is the origin of the key of one factory certificate.
type FactoryOrigin struct {
	Factory Hash // of the certificate
	Origin  KeyOrigin
}

// An OriginStore reads the origins and successions that a Change keeps. It is safe for
// concurrent use.
type OriginStore interface {
	// KeyOrigin returns what is kept of a factory certificate, or ErrUnknown.
	KeyOrigin(ctx context.Context, factory Hash) (KeyOrigin, error)
	// Succession returns by which the factory certificate has taken the place of another,
	// or ErrUnknown.
	Succession(ctx context.Context, factory Hash) (Succession, error)
}

// KeyOrigin says who made the key of a factory certificate: OriginUnknown if nobody
// told.
func (ca *CA) KeyOrigin(ctx context.Context, factory Hash) (KeyOrigin, error) {
	if ca.o.Origins == nil {
		return OriginUnknown, nil
	}
	o, err := ca.o.Origins.KeyOrigin(ctx, factory)
	if errors.Is(err, ErrUnknown) {
		return OriginUnknown, nil
	}
	return o, err
}

// TellKeyOrigin keeps who made the key of a factory certificate, in place of what was
// told before.
func (ca *CA) TellKeyOrigin(ctx context.Context, factory Hash, o KeyOrigin) error {
	before, err := ca.KeyOrigin(ctx, factory)
	if err != nil || o == OriginUnknown || o == before {
		return err
	}
	return ca.o.Store.Commit(ctx, Change{Origin: origin(factory, o), Audit: []audit.Row{
		ca.row("key_origin.tell", factory, "who made the factory key", string(before), string(o)),
	}})
}

// origin returns what a Change keeps of an origin: nothing of an unknown one.
func origin(factory Hash, o KeyOrigin) *FactoryOrigin {
	if o == OriginUnknown {
		return nil
	}
	return &FactoryOrigin{factory, o}
}
