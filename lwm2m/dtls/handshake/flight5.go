package handshake

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"

	"steward/lwm2m/dtls"
)

// takeCertificate reads the client's chain or raw public key; who it is will be
// asked once it has proved the key.
func (m *machine) takeCertificate(body []byte) error {
	var ok bool
	if m.offers.clientRaw {
		m.rawKey, ok = parseRawKey(body)
	} else {
		m.chain, ok = parseChain(body)
	}
	switch {
	case !ok:
		return fail(alertDecodeError, dtls.ErrHandshake, "certificate message")
	case len(m.rawKey) == 0 && len(m.chain) == 0:
		return fail(alertHandshakeFailure, dtls.ErrHandshake, "no certificate") // RFC 5246 §7.4.6
	}
	m.phase = phaseKeyExchange
	return nil
}

// takeKeyExchange computes the premaster secret and what follows from it.
func (m *machine) takeKeyExchange(body []byte) error {
	x, ok := parseClientKeyExchange(body, m.suite)
	if !ok {
		return fail(alertDecodeError, dtls.ErrHandshake, "client key exchange")
	}
	var premaster []byte
	if m.suite.ecdhe {
		var err error
		if premaster, err = agree(m.share, x.point); err != nil {
			return &failure{alert: alertIllegalParameter, reason: err}
		}
		m.share = nil
	}
	if m.suite.psk {
		premaster = premasterPSK(premaster, m.keyOf(x.identity))
	}
	m.deriveMaster(premaster)
	clear(premaster)
	if err := m.newSession(); err != nil {
		return &failure{alert: alertInternalError, reason: err}
	}
	m.phase = phaseVerify
	if m.suite.psk {
		m.phase = phaseFinished
	}
	return nil
}

// keyOf returns the key of a PSK identity. One without gets a key that nobody knows,
// so that it fares like somebody with the wrong key (RFC 4279 §2).
func (m *machine) keyOf(identity []byte) []byte {
	m.psk = append([]byte{}, identity...)
	var key []byte
	var err error
	m.server.work.outside(func() { key, err = m.server.o.Credentials.PSK(m.psk) })
	if err == nil && len(key) == 0 {
		err = dtls.ErrUnknownIdentity
	}
	if err != nil {
		m.unknown = fmt.Errorf("%w: %w", dtls.ErrRefused, err)
		key = make([]byte, 16)
		_, _ = rand.Read(key) // never fails
	}
	m.pskHash = sha256.Sum256(key)
	return key
}

// deriveMaster makes the master secret: over the handshake so far (RFC 7627 §4), or
// over the randoms alone (RFC 5246 §8.1) where that is allowed.
func (m *machine) deriveMaster(premaster []byte) {
	if m.offers.masterSecret {
		session := m.digest()
		prf(m.master[:], premaster, labelExtended, session[:])
		return
	}
	prf(m.master[:], premaster, labelMaster, m.clientRandom[:], m.serverRandom[:])
}

// newSession makes the session of the master secret.
func (m *machine) newSession() (err error) {
	block := keyBlock(&m.master, &m.clientRandom, &m.serverRandom)
	m.session, err = dtls.NewSession(dtls.SessionOptions{
		Protection: m.suite.protection, KeyBlock: block,
		PeerCID: m.offers.peerCID, CID: m.offers.cid, Limit: m.offers.limit,
	})
	clear(block)
	return err
}

// takeVerify checks the proof of the client's key: a signature of the messages
// before (RFC 5246 §7.4.8).
func (m *machine) takeVerify(body []byte) error {
	s, signature, ok := parseCertificateVerify(body)
	switch {
	case !ok:
		return fail(alertDecodeError, dtls.ErrHandshake, "certificate verify")
	case !slices.Contains(schemes, s):
		return fail(alertIllegalParameter, dtls.ErrHandshake, "signature algorithm %04x", uint16(s))
	}
	der := m.rawKey
	if der == nil {
		der = m.chain[0]
	}
	m.leaf = keyID{sha256.Sum256(der), m.rawKey != nil}
	key, err := m.server.keys.of(m.leaf, der)
	if err != nil {
		return &failure{alert: alertBadCertificate, reason: err}
	}
	if err := m.verify(s, key, signature); err != nil {
		return &failure{alert: alertDecryptError, reason: err}
	}
	m.server.keys.keep(m.leaf, key)
	m.phase = phaseFinished
	return nil
}

// verify checks a signature of the messages before the one that holds it. Their
// SHA-256 is known.
func (m *machine) verify(s scheme, key crypto.PublicKey, signature []byte) error {
	if s == ecdsaSHA256 {
		return s.verifyDigest(key, signature, m.before[:])
	}
	return s.verify(key, signature, transcript(m.log[:len(m.log)-1]))
}
