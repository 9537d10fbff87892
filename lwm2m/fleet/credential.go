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

// A CredentialKind says what kind of key a credential is.
type CredentialKind string

// The kinds of credentials.
const (
	KindPSK    CredentialKind = "psk"    // a pre-shared key
	KindRawKey CredentialKind = "rawkey" // a raw public key (RFC 7250)
)

// A Credential is a key of a device that has no factory certificate. A device has
// at most one for each use, of either kind.
type Credential struct {
	Device ID
	Use    CredentialUse
	Kind   CredentialKind
	// Identity is that of a pre-shared key, UTF-8, or KeyIdentity of a raw public key.
	// It is unique.
	Identity string
	Public   []byte // SubjectPublicKeyInfo of a raw public key, DER
	// Secret is the pre-shared key, or the private key of a raw public key that we
	// made (OneAsymmetricKey, RFC 5958); nil: only the device has it. It is never
	// logged, shown or exported.
	Secret    []byte
	CreatedAt time.Time
}

// Check returns ErrCredential with the reason.
func (c Credential) Check() error {
	switch {
	case c.Use != UseServer && c.Use != UseBootstrap:
		return fmt.Errorf("%w: use %.20q, want %s or %s", ErrCredential, c.Use, UseServer, UseBootstrap)
	case c.Kind == KindRawKey:
		return c.checkRawKey()
	case c.Kind != KindPSK:
		return fmt.Errorf("%w: kind %.20q, want %s or %s", ErrCredential, c.Kind, KindPSK, KindRawKey)
	case len(c.Public) != 0:
		return fmt.Errorf("%w: a pre-shared key has no public key", ErrCredential)
	case c.Identity == "" || len(c.Identity) > MaxPSKIdentity || !utf8.ValidString(c.Identity):
		return fmt.Errorf("%w: identity must be text of 1 to %d bytes", ErrCredential, MaxPSKIdentity)
	case len(c.Secret) < MinPSK || len(c.Secret) > MaxPSK:
		return fmt.Errorf("%w: key of %d bytes, want %d to %d", ErrCredential, len(c.Secret), MinPSK, MaxPSK)
	}
	return nil
}

// Credentials keeps keys of devices, what is secret of them sealed. Implementations are safe for
// concurrent use.
type Credentials interface {
	// PutCredential stores c in place of the device's credential for the same use,
	// with an audit row that does not hold the key. It returns ErrCredential,
	// ErrUnknown without the device, and ErrConflict if another device, or another
	// use, has the identity.
	PutCredential(ctx context.Context, c Credential, actor, reason string) error
	// Credential returns that of a kind and an identity, or ErrNoCredential: one kind
	// of key never stands for the other.
	Credential(ctx context.Context, kind CredentialKind, identity string) (Credential, error)
	// CredentialOf returns that of a device, or ErrNoCredential.
	CredentialOf(ctx context.Context, device ID, use CredentialUse) (Credential, error)
	// RemoveCredential deletes that of a device, with an audit row; none is no error.
	RemoveCredential(ctx context.Context, device ID, use CredentialUse, actor, reason string) error
}
