package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Limits of pre-shared keys (LwM2M Transport 1.2.2 §6.2.3, RFC 4279 §5.3; 16
// bytes are what AES_128 can make use of).
const (
	MaxPSKIdentity = 128
	MinPSK         = 16
	MaxPSK         = 64
)

// Errors of credentials.
var (
	// ErrCredential reports a credential that cannot be used.
	ErrCredential = errors.New("unusable credential")
	// ErrNoCredential reports that nobody has the credential.
	ErrNoCredential = errors.New("unknown credential")
)

// A CredentialUse says what a credential is for: each server has keys of its own
// (LwM2M Transport 1.2.2 §5.1.2).
type CredentialUse string

// The uses of credentials.
const (
	UseServer    CredentialUse = "server"    // registration and device management
	UseBootstrap CredentialUse = "bootstrap" // the Bootstrap-Server
)

// A Credential is a pre-shared key of a device that has no factory certificate. A
// device has at most one for each use.
type Credential struct {
	Device    ID
	Use       CredentialUse
	Identity  string // of the key, unique, UTF-8
	Secret    []byte // the key; never logged, shown or exported
	CreatedAt time.Time
}

// Check returns ErrCredential with the reason.
func (c Credential) Check() error {
	switch {
	case c.Use != UseServer && c.Use != UseBootstrap:
		return fmt.Errorf("%w: use %.20q, want %s or %s", ErrCredential, c.Use, UseServer, UseBootstrap)
	case c.Identity == "" || len(c.Identity) > MaxPSKIdentity || !utf8.ValidString(c.Identity):
		return fmt.Errorf("%w: identity must be text of 1 to %d bytes", ErrCredential, MaxPSKIdentity)
	case len(c.Secret) < MinPSK || len(c.Secret) > MaxPSK:
		return fmt.Errorf("%w: key of %d bytes, want %d to %d", ErrCredential, len(c.Secret), MinPSK, MaxPSK)
	}
	return nil
}

// Credentials keeps pre-shared keys, sealed. Implementations are safe for
// concurrent use.
type Credentials interface {
	// PutCredential stores c in place of the device's credential for the same use,
	// with an audit row that does not hold the key. It returns ErrCredential,
	// ErrUnknown without the device, and ErrConflict if another device, or another
	// use, has the identity.
	PutCredential(ctx context.Context, c Credential, actor, reason string) error
	// Credential returns that of an identity, or ErrNoCredential.
	Credential(ctx context.Context, identity string) (Credential, error)
	// CredentialOf returns that of a device, or ErrNoCredential.
	CredentialOf(ctx context.Context, device ID, use CredentialUse) (Credential, error)
	// RemoveCredential deletes that of a device, with an audit row; none is no error.
	RemoveCredential(ctx context.Context, device ID, use CredentialUse, actor, reason string) error
}
