package handshake

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"steward/lwm2m/dtls"
)

const (
	maxChain = 8 // certificates of a client
	// maxCredentials bounds the certificates of ours that are kept encoded, and
	// maxKeys the keys of clients that are kept parsed.
	maxCredentials = 64
	maxKeys        = 4096
)

// A credential is one of our certificates, ready to be sent.
type credential struct {
	signer crypto.Signer
	chain  []byte // body of a Certificate message
	raw    []byte // the same with our raw public key (RFC 7250 §3)
}

// newCredential encodes c. Its key must be able to sign.
func newCredential(c *tls.Certificate) (*credential, error) {
	signer, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: certificate without a signing key", dtls.ErrHandshake)
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
	var chain, raw cryptobyte.Builder
	chain.AddUint24LengthPrefixed(func(list *cryptobyte.Builder) {
		for _, der := range c.Certificate {
			list.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
		}
	})
	raw.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(spki) })
	out := &credential{signer: signer}
	if out.chain, err = chain.Bytes(); err == nil {
		out.raw, err = raw.Bytes()
	}
	return out, err
}

// credentials keeps what newCredential made.
type credentials struct {
	mu    sync.Mutex
	known map[*tls.Certificate]*credential
}

func (k *credentials) of(c *tls.Certificate) (*credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.known[c]; known != nil {
		return known, nil
	}
	fresh, err := newCredential(c)
	if err != nil {
		return nil, err
	}
	if k.known == nil || len(k.known) >= maxCredentials {
		k.known = make(map[*tls.Certificate]*credential)
	}
	k.known[c] = fresh
	return fresh, nil
}

// parseChain reads the body of a Certificate message (RFC 5246 §7.4.6). A client
// without a suitable one sends an empty list.
func parseChain(b []byte) (chain [][]byte, ok bool) {
	s := cryptobyte.String(b)
	var list cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&list) || len(s) != 0 {
		return nil, false
	}
	for len(list) > 0 {
		var der cryptobyte.String
		if len(chain) == maxChain || !list.ReadUint24LengthPrefixed(&der) || len(der) == 0 {
			return nil, false
		}
		chain = append(chain, der)
	}
	return chain, true
}

// parseRawKey reads the body of a Certificate message with a raw public key
// (RFC 7250 §3): a SubjectPublicKeyInfo, empty for a client without one.
func parseRawKey(b []byte) (spki []byte, ok bool) {
	s := cryptobyte.String(b)
	var key cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&key) || len(s) != 0 {
		return nil, false
	}
	return key, true
}

// keyInfo cuts the SubjectPublicKeyInfo out of a certificate (RFC 5280 §4.1). Whether
// the rest is good is for whoever judges the certificate.
func keyInfo(der []byte) (spki []byte, ok bool) {
	s := cryptobyte.String(der)
	var cert, tbs, key cryptobyte.String
	version := asn1.Tag(0).ContextSpecific().Constructed()
	if !s.ReadASN1(&cert, asn1.SEQUENCE) || len(s) != 0 || !cert.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(version) || !tbs.SkipASN1(asn1.INTEGER) || // serial number
		!tbs.SkipASN1(asn1.SEQUENCE) || !tbs.SkipASN1(asn1.SEQUENCE) || // algorithm, issuer
		!tbs.SkipASN1(asn1.SEQUENCE) || !tbs.SkipASN1(asn1.SEQUENCE) || // validity, subject
		!tbs.ReadASN1Element(&key, asn1.SEQUENCE) {
		return nil, false
	}
	return key, true
}

// keys keeps the public keys of clients that proved them, so that a device that
// comes again is not parsed again.
type keys struct {
	mu    sync.Mutex
	known map[keyID]crypto.PublicKey
}

// A keyID names what held a key. A certificate that was proved must not pass for a
// SubjectPublicKeyInfo, nor the other way round.
type keyID struct {
	sum [sha256.Size]byte
	raw bool
}

// of returns the key of a certificate, or of a SubjectPublicKeyInfo.
func (k *keys) of(id keyID, der []byte) (crypto.PublicKey, error) {
	k.mu.Lock()
	key := k.known[id]
	k.mu.Unlock()
	if key != nil {
		return key, nil
	}
	spki := der
	if !id.raw {
		var ok bool
		if spki, ok = keyInfo(der); !ok {
			return nil, fmt.Errorf("%w: not a certificate", dtls.ErrHandshake)
		}
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
	return key, nil
}

// keep remembers a key that was proved.
func (k *keys) keep(id keyID, key crypto.PublicKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKeys {
		k.known = make(map[keyID]crypto.PublicKey)
	}
	k.known[id] = key
}
