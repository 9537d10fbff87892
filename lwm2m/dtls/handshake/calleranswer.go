package handshake

import (
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"steward/lwm2m/dtls"
)

// answer makes and sends a client's last flight (RFC 6347 §4.2.4, flight 5).
func (c *caller) answer() error {
	c.flight = nil
	var signer crypto.Signer
	if c.requested {
		body, key, err := c.certificate()
		if err != nil {
			return &failure{alert: alertInternalError, reason: err}
		}
		signer = key
		c.say(typeCertificate, body)
	}
	premaster, err := c.exchange()
	if err != nil {
		return err
	}
	digest := hashOf(c.log)
	prf(c.master[:], premaster, labelExtended, digest[:]) // RFC 7627 §4
	clear(premaster)
	if signer != nil {
		if err := c.prove(signer); err != nil {
			return err
		}
	}
	if err := c.newSession(); err != nil {
		return &failure{alert: alertInternalError, reason: err}
	}
	digest = hashOf(c.log)
	finished := verifyData(&c.master, labelClientEnd, digest[:])
	c.binding = [verifyLength]byte(finished)
	c.say(typeFinished, finished)
	c.phase = callerFinished
	return c.transmit(0)
}

// certificate makes the body of our Certificate message, and returns the key that is
// to be proved: none if we have none.
func (c *caller) certificate() (body []byte, key crypto.Signer, err error) {
	var b cryptobyte.Builder
	switch {
	case c.o.RawKey != nil:
		key = c.o.RawKey
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
		}
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(spki) })
	case c.o.Certificate != nil:
		mine, err := newCredential(c.o.Certificate)
		if err != nil {
			return nil, nil, err
		}
		return mine.chain, mine.signer, nil
	default:
		b.AddUint24(0)
	}
	body, err = b.Bytes()
	return body, key, err
}

// exchange says our ClientKeyExchange and returns the premaster secret.
func (c *caller) exchange() (premaster []byte, err error) {
	var body []byte
	if c.suite.psk {
		body = binary.BigEndian.AppendUint16(nil, uint16(len(c.o.PSKIdentity))) //nolint:gosec // G115: newCaller looked
		body = append(body, c.o.PSKIdentity...)
	}
	if c.suite.ecdhe {
		share, err := newShare(c.group)
		if err != nil {
			return nil, &failure{alert: alertInternalError, reason: err}
		}
		if premaster, err = agree(share, c.point); err != nil {
			return nil, &failure{alert: alertIllegalParameter, reason: err}
		}
		point := share.PublicKey().Bytes()
		body = append(append(body, byte(len(point))), point...) //nolint:gosec // G115: 97 at most
	}
	if c.suite.psk {
		premaster = premasterPSK(premaster, c.o.PSK)
	}
	c.say(typeClientKeyExchange, body)
	return premaster, nil
}

// prove says a CertificateVerify: a signature of the messages before (RFC 5246
// §7.4.8).
func (c *caller) prove(key crypto.Signer) error {
	s, _ := chooseScheme(key.Public(), c.schemes)
	if s == 0 {
		return fail(alertHandshakeFailure, dtls.ErrHandshake, "server takes no signature of our key")
	}
	signature, err := s.sign(key, transcript(c.log))
	if err != nil {
		return &failure{alert: alertInternalError, reason: fmt.Errorf("%w: %w", dtls.ErrHandshake, err)}
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(s))
	body = binary.BigEndian.AppendUint16(body, uint16(len(signature))) //nolint:gosec // G115: about a hundred
	c.say(typeCertificateVerify, append(body, signature...))
	return nil
}

// newSession makes the session of the master secret.
func (c *caller) newSession() (err error) {
	block := keyBlock(&c.master, &c.random, &c.serverRandom)
	o := dtls.SessionOptions{Client: true, Protection: c.suite.protection, KeyBlock: block}
	if c.accepted.cid != nil { // both sides use one or neither, whatever their lengths
		o.PeerCID, o.CID = c.accepted.cid, c.cid
	}
	c.session, err = dtls.NewSession(o)
	clear(block)
	return err
}
