package web

import (
	"context"
	"time"
)

// Bootstraps says what devices are configured with, and by which keys those
// without a certificate come.
type Bootstraps interface {
	// BootstrapProfiles returns all profiles in order of names.
	BootstrapProfiles(ctx context.Context) ([]BootstrapProfile, error)
	// PutBootstrapProfile stores p in place of that with the same name. It returns
	// ErrConflict if another profile has the tag.
	PutBootstrapProfile(ctx context.Context, by Actor, p BootstrapProfile) (BootstrapProfile, error)
	// RemoveBootstrapProfile deletes the profile called name.
	RemoveBootstrapProfile(ctx context.Context, by Actor, name string) error
	// DeviceKeys returns which keys a device has, and its last bootstrap.
	DeviceKeys(ctx context.Context, device string) (DeviceKeys, error)
	// PutDeviceKey gives a device a pre-shared key or a raw public key; sessions by an
	// earlier one end. It returns ErrConflict if another device has the key.
	PutDeviceKey(ctx context.Context, by Actor, device string, k NewDeviceKey) (DeviceKeys, error)
	// RemoveDeviceKey takes the key for a use away and ends sessions by it.
	RemoveDeviceKey(ctx context.Context, by Actor, device string, use KeyUse) (DeviceKeys, error)
}

// A KeyUse says what a key is for.
type KeyUse string

// The uses of keys.
const (
	KeyServer    KeyUse = "server"    // registration and device management
	KeyBootstrap KeyUse = "bootstrap" // the Bootstrap-Server
)

// A BootstrapProfile is what devices of a group are configured with.
type BootstrapProfile struct {
	Name      string `json:"name"`
	Tag       string `json:"tag"`  // of the devices it is for; "": all that no other profile is for
	Mode      string `json:"mode"` // psk, rpk, x509, est, nosec
	ShortID   int    `json:"short_id"`
	Lifetime  int    `json:"lifetime"`   // seconds
	MinPeriod int    `json:"min_period"` // seconds; 0: not set
	MaxPeriod int    `json:"max_period"` // seconds; 0: not set
	Queue     bool   `json:"queue"`
	Streams   bool   `json:"streams,omitempty"` // devices are sent to TCP or TLS
	// Objects are instances of other objects that devices get.
	Objects []BootstrapInstance `json:"objects,omitempty"`
}

// A BootstrapInstance is one instance of an object, such as /2/0.
type BootstrapInstance struct {
	Path   string                `json:"path"`
	Values Array[BootstrapValue] `json:"values"`
}

// A BootstrapValue is a resource of an instance, or an instance of a multiple one.
type BootstrapValue struct {
	Path  string `json:"path"`
	Value any    `json:"value"` // as EncodeValue writes it
}

// A NewDeviceKey is a key to be: a pre-shared key with its identity, which is never
// shown again, or a public key alone.
type NewDeviceKey struct {
	Use       KeyUse `json:"use"`
	Identity  string `json:"identity,omitempty"`
	Key       []byte `json:"key,omitempty"`
	PublicKey string `json:"public_key,omitempty"` // SubjectPublicKeyInfo as PEM or hexadecimal
	Reason    string `json:"reason,omitempty"`
}

// DeviceKeys are a device's keys, without their secrets, and its last bootstrap.
type DeviceKeys struct {
	Keys      Array[DeviceKey] `json:"keys"`
	Bootstrap *DeviceBootstrap `json:"bootstrap,omitempty"` // nil: never
}

// A DeviceKey is a key without its secret.
type DeviceKey struct {
	Use       KeyUse    `json:"use"`
	Kind      string    `json:"kind"`                 // psk, rawkey
	Identity  string    `json:"identity"`             // of a raw public key: its SHA-256
	PublicKey []byte    `json:"public_key,omitempty"` // SubjectPublicKeyInfo, DER
	Ours      bool      `json:"ours"`                 // we know the secret: bootstrap can deliver it again
	CreatedAt time.Time `json:"created_at"`
}

// A DeviceBootstrap is how a bootstrap went.
type DeviceBootstrap struct {
	State     string               `json:"state"` // asked, writing, finishing, repairing, checking, done, failed
	Reason    string               `json:"reason"`
	Address   string               `json:"address"`
	StartedAt time.Time            `json:"started_at"`
	EndedAt   *time.Time           `json:"ended_at,omitempty"`
	Steps     Array[BootstrapStep] `json:"steps"`
}

// A BootstrapStep is one exchange of a bootstrap.
type BootstrapStep struct {
	Milliseconds int64  `json:"milliseconds"` // since the beginning
	What         string `json:"what"`
	Answer       string `json:"answer"`
	Note         string `json:"note,omitempty"`
}

func (missing) BootstrapProfiles(context.Context) ([]BootstrapProfile, error) {
	return nil, ErrNotBuilt
}

func (missing) PutBootstrapProfile(context.Context, Actor, BootstrapProfile) (BootstrapProfile, error) {
	return BootstrapProfile{}, ErrNotBuilt
}

func (missing) RemoveBootstrapProfile(context.Context, Actor, string) error { return ErrNotBuilt }

func (missing) DeviceKeys(context.Context, string) (DeviceKeys, error) {
	return DeviceKeys{}, ErrNotBuilt
}

func (missing) PutDeviceKey(context.Context, Actor, string, NewDeviceKey) (DeviceKeys, error) {
	return DeviceKeys{}, ErrNotBuilt
}

func (missing) RemoveDeviceKey(context.Context, Actor, string, KeyUse) (DeviceKeys, error) {
	return DeviceKeys{}, ErrNotBuilt
}
