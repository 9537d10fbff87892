package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.step.sm/crypto/kms/apiv1"
	"go.step.sm/crypto/kms/pkcs11"
)

// A manager holds keys that never leave it: what of apiv1.KeyManager is used.
type manager interface {
	CreateKey(req *apiv1.CreateKeyRequest) (*apiv1.CreateKeyResponse, error)
	CreateSigner(req *apiv1.CreateSignerRequest) (crypto.Signer, error)
	Close() error
}

// Bounds of what a token may take.
const (
	tokenWait  = 5 * time.Second // for one operation; a device waits 2 s more for its answer
	maxWaiting = 32              // operations that a token that hangs may hold
)

// A token is a PKCS#11 token. It may go away and come back: an operation that
// fails is tried once more over a new connection.
type token struct {
	uri, pin string
	open     func(uri, pin string) (manager, error)
	waiting  chan struct{} // one for each operation under way

	mu   sync.Mutex
	link *link // nil: not connected
}

// A link is one connection to the token.
type link struct {
	manager
	mu      sync.Mutex
	users   int
	stale   bool // closed by its last user: closing fails operations under way
	signers map[string]crypto.Signer
}

func newToken(uri, pin string) *token {
	return &token{uri: uri, pin: pin, open: openToken, waiting: make(chan struct{}, maxWaiting)}
}

// openToken connects.
func openToken(uri, pin string) (manager, error) {
	o := apiv1.Options{URI: uri}
	if pin != "" {
		text, err := ReadSecret(pin)
		if err != nil {
			return nil, fmt.Errorf("PIN: %w", err)
		}
		o.Pin = string(bytes.TrimSpace(text))
	}
	return pkcs11.New(context.Background(), o)
}

func (t *token) name(object string) string { return "pkcs11:object=" + object }

func (t *token) find(object string) (crypto.Signer, error) {
	return perform(t, func(l *link) (crypto.Signer, error) {
		s, err := l.signer(t.name(object))
		if err != nil {
			return nil, err
		}
		return &tokenKey{token: t, object: object, public: s.Public()}, nil
	})
}

func (t *token) create(object string) (crypto.Signer, error) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	_, err := perform(t, func(l *link) (*apiv1.CreateKeyResponse, error) {
		return l.CreateKey(&apiv1.CreateKeyRequest{
			Name: t.name(object) + ";id=" + hex.EncodeToString(id), SignatureAlgorithm: apiv1.ECDSAWithSHA256,
		})
	})
	if err != nil {
		return nil, err
	}
	return t.find(object)
}

// signer returns the key called name, found once for each connection.
func (l *link) signer(name string) (crypto.Signer, error) {
	l.mu.Lock()
	s := l.signers[name]
	l.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := l.CreateSigner(&apiv1.CreateSignerRequest{SigningKey: name})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signers[name] = s
	return s, nil
}

// perform runs op over the connection, and once more over a new one if it fails.
// What hangs is left alone after tokenWait. It returns ErrNoKey or ErrUnavailable.
func perform[T any](t *token, op func(*link) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var zero T
	timeout := time.NewTimer(tokenWait)
	defer timeout.Stop()
	select {
	case t.waiting <- struct{}{}:
	case <-timeout.C:
		return zero, fmt.Errorf("%w: %s: too many wait for it", ErrUnavailable, t.uri)
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-t.waiting }()
		v, err := attempt(t, op)
		if err != nil { // the token may have been away meanwhile
			v, err = attempt(t, op)
		}
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		if o.err != nil && !errors.Is(o.err, ErrNoKey) {
			return zero, fmt.Errorf("%w: %s: %w", ErrUnavailable, t.uri, o.err)
		}
		return o.value, o.err
	case <-timeout.C:
		return zero, fmt.Errorf("%w: %s: no answer within %v", ErrUnavailable, t.uri, tokenWait)
	}
}

// attempt runs op once. After an error nobody takes this connection again.
func attempt[T any](t *token, op func(*link) (T, error)) (T, error) {
	var zero T
	l, err := t.connect()
	if err != nil {
		return zero, err
	}
	v, err := op(l)
	t.release(l, err != nil)
	if errors.Is(err, apiv1.NotFoundError{}) {
		return zero, fmt.Errorf("%w: %s: %w", ErrNoKey, t.uri, err)
	}
	return v, err
}

func (t *token) connect() (*link, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil {
		m, err := t.open(t.uri, t.pin)
		if err != nil {
			return nil, err
		}
		t.link = &link{manager: m, signers: map[string]crypto.Signer{}}
	}
	t.link.users++
	return t.link, nil
}

func (t *token) release(l *link, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.users--
	l.stale = l.stale || failed
	if l.stale && t.link == l {
		t.link = nil
	}
	if l.stale && l.users == 0 {
		_ = l.Close() // it failed: that closing fails as well is no news
	}
}

func (t *token) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil {
		return
	}
	t.link.stale = true
	if t.link.users == 0 {
		_ = t.link.Close() // the process ends: nobody could do anything
	}
	t.link = nil
}

// A tokenKey is a key in a token.
type tokenKey struct {
	token  *token
	object string
	public crypto.PublicKey
}

// Public implements crypto.Signer.
func (k *tokenKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer. It returns ErrUnavailable, also if the token has
// another key by that name now.
func (k *tokenKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	digest = bytes.Clone(digest) // a token that hangs may read it after the caller was told
	return perform(k.token, func(l *link) ([]byte, error) {
		s, err := l.signer(k.token.name(k.object))
		if err != nil {
			return nil, err
		}
		if pub, ok := s.Public().(interface{ Equal(x crypto.PublicKey) bool }); !ok || !pub.Equal(k.public) {
			return nil, fmt.Errorf("the token has another key %s now", k.object)
		}
		return s.Sign(random, digest, opts)
	})
}
