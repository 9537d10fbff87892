// Package keys keeps a provider's private keys: in files that are encrypted and
// that only the owner of the data directory can read, or in tokens by PKCS#11.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
)

// Errors of a Ring.
var (
	// ErrName reports a name that is not a plain file name.
	ErrName = errors.New("unusable key name")
	// ErrFile reports a key file that cannot be used: not PEM, another type of
	// key, or readable by others.
	ErrFile = errors.New("unusable key file")
	// ErrNoKey reports a key that does not exist.
	ErrNoKey = errors.New("no such key")
	// ErrPlace reports a place for keys that cannot be used as written.
	ErrPlace = errors.New("unusable place for keys")
	// ErrUnavailable reports a key that exists, as far as is known, and cannot be
	// used now: its token is away or does not answer.
	ErrUnavailable = errors.New("key cannot be used now")
)

// A Name says what a key is for. Each purpose has a key of its own, so that the
// theft of one is not the theft of another. A later generation of a key has the
// purpose's name with a number: "issuing-2".
type Name string

// The keys of a provider.
const (
	Root     Name = "root"     // signs the issuing CA
	Issuing  Name = "issuing"  // signs certificates and CRLs
	Server   Name = "server"   // coaps endpoint
	Web      Name = "web"      // dashboard off loopback
	Peer     Name = "peer"     // provider-to-provider API, both sides
	Transfer Name = "transfer" // offers, messages, device information
	SUIT     Name = "suit"     // manifests
	Mandate  Name = "mandate"  // of a service user
	Report   Name = "report"   // reports of campaigns
	Attest   Name = "attest"   // verdicts of the attestation verifier
	OCSP     Name = "ocsp"     // statuses of certificates
)

// purposes are the names that a provider may place.
var purposes = []Name{Root, Issuing, Server, Web, Peer, Transfer, SUIT, Report, Attest, OCSP}

var (
	legalName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	generation = regexp.MustCompile(`-[0-9]+$`)
)

// Purpose returns the name without the number of a later generation.
func (n Name) Purpose() Name { return Name(generation.ReplaceAllString(string(n), "")) }

// Options say where a Ring keeps its keys.
type Options struct {
	Dir string // of key files; made if need be; required
	// Machine is the file of the key that encrypts the others where no passphrase
	// does, made at the first start. "": machine.key in Dir.
	Machine string
	// Passphrase encrypts the keys; nil: that of the machine does.
	Passphrase []byte
	// Places are the places of purposes that are not Dir: "file:PATH" or an RFC
	// 7512 URI "pkcs11:…". "default" is that of all that are not named.
	Places map[Name]string
}

// A Ring is a provider's keys. Safe for concurrent use.
type Ring struct {
	places map[Name]place
	files  files
	mu     sync.Mutex        // guards making keys, and tokens
	tokens map[string]*token // by the URI without its object
}

// Open returns the ring of o. Keys in Dir that are not encrypted yet, as earlier
// versions left them, are encrypted. It returns ErrPlace, ErrFile, or ErrLocked
// for a passphrase that is missing or wrong.
func Open(o Options) (*Ring, error) {
	r := &Ring{places: map[Name]place{}, tokens: map[string]*token{}}
	for name, text := range o.Places {
		if name != Everything && !slices.Contains(purposes, name) {
			return nil, fmt.Errorf("%w: there is no purpose %.40q", ErrPlace, name)
		}
		p, err := parsePlace(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.places[name] = p
	}
	v, err := openVault(o)
	if err != nil {
		return nil, err
	}
	r.files = files{dir: o.Dir, vault: v}
	return r, r.files.migrate()
}

// Everything is the purpose of all that have no place of their own.
const Everything Name = "default"

// Key returns the P-256 key called name. It is made at the first call.
func (r *Ring) Key(name Name) (crypto.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, err := r.find(name)
	if !errors.Is(err, ErrNoKey) {
		return key, err
	}
	s, at, err := r.store(name)
	if err != nil {
		return nil, err
	}
	return s.create(at)
}

// Find returns the key called name, or ErrNoKey.
func (r *Ring) Find(name Name) (crypto.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(name)
}

func (r *Ring) find(name Name) (crypto.Signer, error) {
	s, at, err := r.store(name)
	if err != nil {
		return nil, err
	}
	key, err := s.find(at)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: %s is not a P-256 key", ErrFile, name)
	}
	return key, nil
}

// A store finds and makes keys by what it calls them.
type store interface {
	find(at string) (crypto.Signer, error) // ErrNoKey, ErrFile, ErrUnavailable
	create(at string) (crypto.Signer, error)
}

// store returns where the key called name is, or will be.
func (r *Ring) store(name Name) (store, string, error) {
	if !legalName.MatchString(string(name)) {
		return nil, "", fmt.Errorf("%w: %.40q", ErrName, name)
	}
	p := r.place(name)
	if p.token == "" {
		return &r.files, p.path(r.files.dir, name), nil
	}
	t := r.tokens[p.token]
	if t == nil {
		t = newToken(p.token, p.pin)
		r.tokens[p.token] = t
	}
	return t, p.object(name), nil
}

func (r *Ring) place(name Name) place {
	if p, ok := r.places[name.Purpose()]; ok {
		return p
	}
	return r.places[Everything]
}

// Where says for people where the key called name is or will be. It holds no secret.
func (r *Ring) Where(name Name) string {
	p := r.place(name)
	if p.token == "" {
		return "file " + p.path(r.files.dir, name)
	}
	return p.token + ";object=" + p.object(name)
}

// Close gives tokens free.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tokens {
		t.close()
	}
	return nil
}
