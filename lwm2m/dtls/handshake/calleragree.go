package handshake

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"steward/lwm2m/dtls"
)

// takeServerHello reads what the server has chosen: nothing that was not offered.
func (c *caller) takeServerHello(body []byte) error {
	a, ok := parseServerHello(body)
	switch {
	case !ok:
		return fail(alertDecodeError, dtls.ErrHandshake, "server hello")
	case a.version != version12:
		return fail(alertProtocolVersion, dtls.ErrHandshake, "version %04x", a.version)
	case c.unasked(&a):
		return fail(alertUnsupportedExtension, dtls.ErrHandshake, "extension that was not offered")
	case !a.masterSecret:
		return fail(alertHandshakeFailure, dtls.ErrHandshake, "no extended master secret")
	}
	c.suite = suiteOf(a.suite)
	if c.suite == nil || c.suite.psk != (len(c.o.PSK) > 0) || a.compression != 0 {
		return fail(alertIllegalParameter, dtls.ErrHandshake, "suite %04x, compression %d", a.suite, a.compression)
	}
	c.accepted, c.serverRandom = a, a.random
	c.phase = callerKeyExchange
	if c.suite.psk {
		return nil
	}
	c.phase = callerCertificate
	if c.o.RawKey != nil && a.clientCert.typ != certRawPublicKey || !slices.Contains(c.serverTypes(), a.cert.typ) {
		return fail(alertUnsupportedCertificate, dtls.ErrHandshake, "no certificate type in common")
	}
	return nil
}

// unasked reports whether a server answers what was not offered (RFC 5246 §7.4.1.4).
func (c *caller) unasked(a *accepted) bool {
	psk := len(c.o.PSK) > 0
	name := c.o.ServerName != "" && !isAddress(c.o.ServerName)
	types := c.serverTypes()
	return a.other || a.cid != nil && c.cid == nil || a.serverName && !name ||
		a.clientCert.agreed && (psk || c.o.RawKey == nil) ||
		a.cert.agreed && (psk || len(types) == 1 && types[0] == certX509)
}

// takeCertificate has the server judged. That it has the key shows in its key
// exchange.
func (c *caller) takeCertificate(body []byte) error {
	c.phase = callerKeyExchange
	var ok bool
	if c.accepted.cert.typ == certRawPublicKey {
		if c.rawKey, ok = parseRawKey(body); !ok || len(c.rawKey) == 0 {
			return fail(alertDecodeError, dtls.ErrHandshake, "raw public key")
		}
		c.identity.Certificate = sha256.Sum256(c.rawKey)
		return refusal(c.o.VerifyKey(c.rawKey))
	}
	if c.chain, ok = parseChain(body); !ok || len(c.chain) == 0 {
		return fail(alertDecodeError, dtls.ErrHandshake, "certificate message")
	}
	c.identity.Certificate = sha256.Sum256(c.chain[0])
	if leaf, err := x509.ParseCertificate(c.chain[0]); err == nil {
		c.identity.Name = leaf.Subject.CommonName
	}
	return refusal(c.o.Verify(c.chain))
}

// refusal is the end of a server that our judgement refuses.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	return &failure{alert: alertBadCertificate, reason: fmt.Errorf("%w: %w", dtls.ErrRefused, err)}
}

// serverKey is the key that the server has shown.
func (c *caller) serverKey() (crypto.PublicKey, error) {
	var none keys
	if c.rawKey != nil {
		return none.of(keyID{raw: true}, c.rawKey)
	}
	return none.of(keyID{}, c.chain[0])
}

// takeKeyExchange reads the server's share, and the proof of its key.
func (c *caller) takeKeyExchange(body []byte) error {
	x, ok := parseServerKeyExchange(body, c.suite)
	if !ok {
		return fail(alertDecodeError, dtls.ErrHandshake, "server key exchange")
	}
	c.group, c.point = x.group, x.point
	if c.suite.ecdhe && curveOf(x.group) == nil {
		return fail(alertIllegalParameter, dtls.ErrHandshake, "group %d", x.group)
	}
	if c.suite.psk {
		c.phase = callerHelloDone
		return nil
	}
	c.phase = callerRequest
	if !slices.Contains(schemes, x.scheme) {
		return fail(alertIllegalParameter, dtls.ErrHandshake, "signature algorithm %04x", uint16(x.scheme))
	}
	key, err := c.serverKey()
	if err != nil {
		return &failure{alert: alertBadCertificate, reason: err}
	}
	if err := x.scheme.verify(key, x.signature, c.random[:], c.serverRandom[:], x.params); err != nil {
		return &failure{alert: alertDecryptError, reason: err}
	}
	return nil
}

// takeRequest reads which signatures the server takes.
func (c *caller) takeRequest(body []byte) error {
	list, ok := parseCertificateRequest(body)
	if !ok {
		return fail(alertDecodeError, dtls.ErrHandshake, "certificate request")
	}
	c.requested, c.schemes, c.phase = true, list, callerHelloDone
	return nil
}
