// Package owner is the service user, who owns devices and orders by mandates, signed with
// a key of its own, that providers hand them over. Nothing of it runs in a server.
package owner

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// Errors of owners.
var (
	// ErrExists reports a directory that has an owner already.
	ErrExists = errors.New("there is an owner in the directory already")
	// ErrOwner reports a directory without an owner, or with another key than its
	// identity says.
	ErrOwner = errors.New("no owner that can sign")
)

// Options say where an owner is kept.
type Options struct {
	Dir        string // of identity and key; required
	Place      string // of the key, if not in Dir: "file:PATH" or "pkcs11:…" (RFC 7512)
	Passphrase []byte // encrypts the key in a file; nil: a key of this machine does
}

// An Owner signs mandates.
type Owner struct {
	Name     string
	Identity json.RawMessage // the file by which providers pin its key
	signer   transfer.Signer
	dir      string
}

const (
	identityFile    = "identity.json"
	certificateFile = "owner.pem"
	counterFile     = "recovery.counter" // of the last command of Recover
	mandateID       = 16                 // bytes of a mandate's id: unguessable
)

// Create makes an owner with a new key, or by that which Place has. It returns ErrExists.
func Create(o Options, name string, now time.Time) (*Owner, error) {
	at := filepath.Join(o.Dir, identityFile)
	if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(ErrExists, err)
	}
	key, err := o.key((*keys.Ring).Key)
	if err != nil {
		return nil, err
	}
	cert, err := est.NewRoot(est.RootOptions{Name: name, Signer: key, Now: now})
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	identity, err := coordinator.SignIdentity(coordinator.Identity{
		Name: name, Kind: coordinator.ServiceUser, Signing: string(text),
	}, key)
	if err != nil {
		return nil, err
	}
	if err := keys.WriteFile(filepath.Join(o.Dir, certificateFile), text); err != nil {
		return nil, err
	}
	return &Owner{name, identity, transfer.Signer{Key: key, Certificate: cert.Raw}, o.Dir}, keys.WriteFile(at, identity)
}

// Open returns the owner that Create has made. It returns ErrOwner.
func Open(o Options) (*Owner, error) {
	text, err := os.ReadFile(filepath.Join(o.Dir, identityFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOwner, err)
	}
	cert, name, err := Known(text)
	if err != nil {
		return nil, err
	}
	key, err := o.key((*keys.Ring).Find)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOwner, err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("%w: the key is not that of %s", ErrOwner, identityFile)
	}
	return &Owner{name, text, transfer.Signer{Key: key, Certificate: cert.Raw}, o.Dir}, nil
}

// Known returns the certificate and the name in an identity file of a service user, of
// which only the file's own signature was checked. It returns ErrOwner.
func Known(identity []byte) (*x509.Certificate, string, error) {
	i, err := coordinator.ParseIdentity(identity)
	if err != nil || i.Kind != coordinator.ServiceUser {
		return nil, "", errors.Join(fmt.Errorf("%w: not the identity of a service user", ErrOwner), err)
	}
	block, _ := pem.Decode([]byte(i.Signing)) // ParseIdentity has read it
	cert, err := x509.ParseCertificate(block.Bytes)
	return cert, i.Name, err
}

func (o Options) key(get func(*keys.Ring, keys.Name) (crypto.Signer, error)) (crypto.Signer, error) {
	at := keys.Options{Dir: o.Dir, Passphrase: o.Passphrase}
	if o.Place != "" {
		at.Places = map[keys.Name]string{keys.Everything: o.Place}
	}
	ring, err := keys.Open(at)
	if err != nil {
		return nil, err
	}
	return get(ring, keys.Mandate)
}

// Certificate returns the certificate by which devices and providers know the owner.
func (o *Owner) Certificate() []byte { return o.signer.Certificate }

// Recover signs a command that makes certificates of a provider signers on devices whose
// signer was stolen or lost (transfer protocol §7). Devices take a command only if its
// counter is above that of the last: it is the time, and more than that of the command
// before where both are of one second, or a clock went back. It returns ErrOwner if the
// counter cannot be read.
func (o *Owner) Recover(certificates [][]byte, purposes transfer.Purposes, now time.Time) ([]byte, error) {
	counter, err := o.count(uint64(transfer.SecondsOf(now)))
	if err != nil {
		return nil, err
	}
	a := transfer.Anchors{
		IssuedAt: transfer.SecondsOf(now), AnchorsTerms: transfer.AnchorsTerms{Counter: counter},
	}
	for _, der := range certificates {
		a.Anchors = append(a.Anchors, transfer.AnchorRef{Thumbprint: transfer.ThumbprintOf(der), Purposes: purposes})
	}
	return a.Sign(o.signer)
}

// count returns the counter of the next command, at least the given one, and notes it
// before anything is signed with it.
func (o *Owner) count(least uint64) (uint64, error) {
	at := filepath.Join(o.dir, counterFile)
	text, err := os.ReadFile(at)
	if err == nil {
		last, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || last == math.MaxUint64 {
			return 0, errors.Join(fmt.Errorf("%w: %s holds no counter", ErrOwner, at), err)
		}
		least = max(least, last+1)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %w", ErrOwner, err)
	}
	return least, keys.WriteFile(at, strconv.AppendUint(nil, least, 10))
}

// Sign signs what is asked for, as of now.
func (o *Owner) Sign(r *transfer.MandateRequest, now time.Time) ([]byte, error) {
	id := make([]byte, mandateID)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	return r.Mandate(o.Name, now, id).Sign(o.signer)
}
