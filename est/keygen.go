package est

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// DefaultKeepKeys is how long a key made for a device is kept for its repeated
// requests: many times longer than CoAP repeats a message (RFC 7252 §4.8.2), short
// enough that a database which is copied later holds none.
const DefaultKeepKeys = time.Hour

// A Secret is a private key, PKCS#8 in DER. It does not show itself in logs.
type Secret []byte

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// String implements fmt.Stringer.
func (Secret) String() string { return "secret" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "secret" }

// Keyed is a certificate with the key that the CA made for it.
type Keyed struct {
	Issued

	Key Secret
}

// A SealedKey is a key made for a device, as it is stored until the device cannot
// ask again.
type SealedKey struct {
	Client, CSR Hash   // whose request it answers
	Certificate Hash   // which certificate is for it
	Sealed      []byte // PKCS#8, encrypted by Options.Sealer
	Until       time.Time
}

// A Sealer encrypts secrets that are stored. Implementations are safe for
// concurrent use.
type Sealer interface {
	// Seal encrypts secret for one purpose.
	Seal(secret []byte, purpose string) []byte
	// Open returns what was sealed for purpose, or an error.
	Open(sealed []byte, purpose string) ([]byte, error)
}

// GenerateKey answers /skg and /skc (RFC 7030 §4.4): a certificate, with a key that
// is made here, for a device that may Enrol or, by its operational certificate,
// Reenrol. Key and signature of the request are ignored, but for the algorithm,
// which is followed if the profile has it.
//
// The key is stored with the certificate in one transaction, sealed, for KeepKeys:
// so long the same request gets the same answer. After that a first enrolment is
// ErrKeyGone, for the right was for one key and that is lost: it must be opened
// again, which ends the certificate. A renewal gets another key then, and the one
// never used is revoked.
//
// It returns the errors of Enrol and Reenrol, ErrForbidden also where the profile
// makes no keys, ErrEncryption for a client that wants the key encrypted.
func (ca *CA) GenerateKey(ctx context.Context, r Request) (Keyed, error) {
	out, err := ca.generate(ctx, r)
	return out, ca.refused(ctx, "keygen", r.Client, err)
}

// GeneratesKeys reports whether the operational profile lets the CA make keys; for an
// external CA none are made.
func (ca *CA) GeneratesKeys() bool {
	return ca.o.Profiles.Operational.serverKeys && ca.o.Upstream == nil
}

func (ca *CA) generate(ctx context.Context, r Request) (Keyed, error) {
	if !r.Client.enrols() && !r.Client.renews() {
		return Keyed{}, fmt.Errorf("%w: a %q client cannot have a key made", ErrForbidden, r.Client.Role)
	}
	if err := ca.limiter.admit(r.Client.Certificate, ca.now()); err != nil {
		return Keyed{}, err
	}
	p := ca.o.Profiles.Operational
	if !p.serverKeys {
		return Keyed{}, fmt.Errorf("%w: profile %s makes no keys for devices", ErrForbidden, p.name)
	}
	csr, err := parseKeyless(r.CSR)
	if err != nil {
		return Keyed{}, err
	}
	if csr.attributes.encrypted {
		return Keyed{}, ErrEncryption
	}
	o := &order{client: r.Client, csr: csr, binding: r.Binding}
	if err := o.make(p); err != nil {
		return Keyed{}, err
	}
	once := ca.enrolOnce
	if r.Client.Role == RoleOperational {
		once = ca.reenrolOnce
	}
	return again(func() (Keyed, error) {
		attempt := *o // what an attempt finds in the store belongs to it alone
		issued, err := once(ctx, &attempt)
		if err != nil {
			return Keyed{}, err
		}
		return Keyed{issued, attempt.made}, nil
	})
}

// make makes the key: of the algorithm in the request, or that which p prefers.
func (o *order) make(p *Profile) error {
	alg := o.csr.wanted
	if !slices.Contains(p.keys, alg) {
		alg = p.keys[0]
	}
	key, err := newKey(alg)
	if err != nil {
		return err
	}
	if o.csr.SPKI, err = SPKI(key.Public()); err != nil {
		return err
	}
	o.csr.Key = key.Public()
	o.made, err = x509.MarshalPKCS8PrivateKey(key)
	return err
}

func newKey(alg KeyAlgorithm) (crypto.Signer, error) {
	switch alg {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}

// how adds to the words of an audit row whose key it is.
func (o *order) how() string {
	if o.made == nil {
		return ""
	}
	return ", with a key made here"
}

// sealed returns the key made for o as it is stored; nil: it is the client's own.
func (ca *CA) sealed(o *order, certificate Hash) *SealedKey {
	if o.made == nil {
		return nil
	}
	return &SealedKey{
		Client: o.client.Certificate, CSR: o.csr.Hash, Certificate: certificate,
		Sealed: ca.o.Sealer.Seal(o.made, sealPurpose(certificate)), Until: ca.now().Add(ca.o.KeepKeys),
	}
}

// sealPurpose binds a sealed key to its certificate.
func sealPurpose(certificate Hash) string { return "est key " + hex.EncodeToString(certificate[:]) }

// kept returns the answer to the same request before, with its key in o. ok is
// false if there was none. It returns ErrKeyGone if the certificate is good and the
// key is kept no longer.
func (ca *CA) kept(ctx context.Context, o *order) (out Issued, ok bool, err error) {
	records, err := ca.o.Store.Certificates(ctx, Query{
		Kind: KindOperational, Status: StatusValid, Client: o.client.Certificate, CSR: o.csr.Hash,
		Name: o.client.Name, Limit: 1,
	})
	if err != nil || len(records) == 0 || records[0].Live(ca.now()) != nil {
		return Issued{}, false, err
	}
	key, err := ca.o.Requests.SealedKey(ctx, o.client.Certificate, o.csr.Hash)
	switch {
	case err != nil && !errors.Is(err, ErrUnknown):
		return Issued{}, false, err
	case err != nil, key.Certificate != records[0].Hash, !ca.now().Before(key.Until):
		return Issued{}, false, fmt.Errorf("%w: %s", ErrKeyGone, records[0].Name)
	}
	if o.made, err = ca.o.Sealer.Open(key.Sealed, sealPurpose(key.Certificate)); err != nil {
		return Issued{}, false, fmt.Errorf("key made for %s: %w", records[0].Name, err)
	}
	cert, err := records[0].Certificate()
	if err != nil {
		return Issued{}, false, fmt.Errorf("inventory: %w", err)
	}
	return ca.answer(cert, records[0]), true, nil
}

// ForgetKeys removes the keys made for devices that are kept no longer. A runner
// calls it now and then; what it is late for is refused already.
func (ca *CA) ForgetKeys(ctx context.Context) error {
	if ca.o.Requests == nil {
		return nil
	}
	return ca.o.Requests.ForgetKeys(ctx, ca.now())
}
