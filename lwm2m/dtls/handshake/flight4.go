package handshake

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"

	"steward/lwm2m/dtls"
)

// takeHello reads a ClientHello whose cookie is good, and sends the flight that
// begins with ServerHello.
func (m *machine) takeHello(body []byte) error {
	h, ok := parseClientHello(body)
	if !ok {
		return fail(alertDecodeError, dtls.ErrHandshake, "client hello")
	}
	o, a, ok := parseOffers(h.extensions)
	if !ok {
		return fail(a, dtls.ErrHandshake, "extension of the client hello")
	}
	if err := m.checkHello(&h, &o); err != nil {
		return err
	}
	m.clientRandom = h.random
	_, _ = rand.Read(m.serverRandom[:]) // never fails
	m.keepOffers(&o)
	if len(o.ticket) > 0 {
		if t := m.resumable(&h, &o); t != nil {
			return m.resume(t, &h, &o)
		}
	}
	return m.beginFull(&h, &o)
}

// checkHello refuses what no suite could make good.
func (m *machine) checkHello(h *clientHello, o *offers) error {
	switch {
	case h.version>>8 != versionMajor || h.version > version12: // versions count down
		return fail(alertProtocolVersion, dtls.ErrHandshake, "version %04x", h.version)
	case m.offer != [digestLength]byte{} && m.offer != offerDigest(h):
		return fail(alertIllegalParameter, dtls.ErrHandshake, "offer changed after the cookie")
	case !h.offersNoCompression():
		return fail(alertIllegalParameter, dtls.ErrHandshake, "compression demanded")
	case o.points != nil && !slices.Contains(o.points, uncompressed):
		return fail(alertIllegalParameter, dtls.ErrHandshake, "no uncompressed points")
	case !o.masterSecret && !m.server.o.PlainMasterSecret:
		return fail(alertHandshakeFailure, dtls.ErrHandshake, "no extended master secret")
	}
	return nil
}

// keepOffers keeps what the rest of the handshake needs of the offers: they alias a
// message.
func (m *machine) keepOffers(o *offers) {
	m.offers = agreed{
		serverName: o.serverName, masterSecret: o.masterSecret, limit: o.limit(),
		ticket: o.ticket != nil && o.masterSecret && !m.server.o.NoTickets,
	}
	if o.cid != nil && len(o.cid) <= dtls.MaxPeerCID {
		m.offers.peerCID, m.offers.cid = o.cid, m.place.CID()
	}
	if m.offers.cid == nil { // both sides use one or neither
		m.offers.peerCID = nil
	}
}

// newServerHello answers the offers that every kind of handshake answers.
func (m *machine) newServerHello(h *clientHello, o *offers) serverHello {
	out := serverHello{
		random: m.serverRandom, suite: m.suite.id, masterSecret: o.masterSecret,
		renegotiation: o.renegotiation != nil || h.offersSuite(suiteRenegotiation),
		points:        o.points != nil && m.suite.ecdhe, cid: m.offers.cid,
	}
	if o.recordSize > 0 {
		out.recordSize = maxRecordSize
	} else {
		out.maxFragment = o.maxFragment
	}
	return out
}

// A choice is what a full handshake will be like.
type choice struct {
	suite            *suite
	credential       *credential // of a certificate suite
	scheme           scheme
	group            uint16 // of an ECDHE suite
	clientCert, cert certType
	named            bool // the client's name for us chose the certificate
}

// choose finds the first suite that works.
func (m *machine) choose(h *clientHello, o *offers) (choice, error) {
	c := choice{group: chooseGroup(o.groups)}
	var refusal error
	c.suite = chooseSuite(h.suites, func(s *suite) bool {
		switch {
		case s.ecdhe && c.group == 0:
			return false
		case s.psk:
			return true
		case c.credential == nil && refusal == nil:
			refusal = m.chooseCertificate(&c, o)
		}
		return refusal == nil
	})
	switch {
	case c.suite != nil:
		return c, nil
	case refusal != nil:
		return c, refusal
	default:
		return c, fail(alertHandshakeFailure, dtls.ErrHandshake, "no suite or group in common")
	}
}

// chooseCertificate finds the types of both sides' certificates, our certificate, and
// a scheme to sign with.
func (m *machine) chooseCertificate(c *choice, o *offers) error {
	if err := m.chooseTypes(c, o); err != nil {
		return err
	}
	cert, err := m.certificate(c, o.serverName)
	if err != nil {
		return &failure{alert: alertUnrecognizedName, reason: fmt.Errorf("%w: %w", dtls.ErrRefused, err)}
	}
	if c.credential, err = m.server.credentials.of(cert); err != nil {
		return &failure{alert: alertInternalError, reason: err}
	}
	var curve uint16
	c.scheme, curve = chooseScheme(c.credential.signer.Public(), o.signatures)
	if c.scheme == 0 || curve != 0 && o.groups != nil && !listed16(o.groups, curve) { // RFC 8422 §5.1: a MUST
		return fail(alertHandshakeFailure, dtls.ErrHandshake, "no signature algorithm in common")
	}
	return nil
}

// certificate returns our certificate for a name, and notes whether the name made it
// another one. There is one raw public key, whatever the name: who has it cannot know
// of others.
func (m *machine) certificate(c *choice, name string) (*tls.Certificate, error) {
	own, err := m.server.o.Credentials.Certificate("")
	if name == "" || c.cert.typ == certRawPublicKey {
		return own, err
	}
	named, err := m.server.o.Credentials.Certificate(name)
	c.named = err == nil && named != own
	return named, err
}

// chooseTypes finds the types of both sides' certificates. A client that shows a raw
// public key gets one if it takes any, whatever it would rather have: it may have no
// anchor to check a certificate with.
func (m *machine) chooseTypes(c *choice, o *offers) error {
	var a, b bool
	c.clientCert, a = chooseType(o.clientCertTypes, m.server.rawKeys != nil)
	c.cert, b = chooseType(o.serverCertTypes, m.server.rawKeys != nil)
	if !a || !b {
		return fail(alertUnsupportedCertificate, dtls.ErrHandshake, "no certificate type in common")
	}
	if c.clientCert.typ == certRawPublicKey && slices.Contains(o.serverCertTypes, certRawPublicKey) {
		c.cert.typ = certRawPublicKey
	}
	return nil
}

// chooseType takes the first type of a client's list that we know (RFC 7250 §4.2).
// Without a list it is X.509.
func chooseType(list []byte, raw bool) (t certType, ok bool) {
	if list == nil {
		return certType{}, true
	}
	for _, typ := range list {
		if typ == certX509 || typ == certRawPublicKey && raw {
			return certType{true, typ}, true
		}
	}
	return certType{}, false
}

// beginFull sends ServerHello to ServerHelloDone (RFC 5246 §7.3, flight 4 of RFC 6347
// §4.2.4).
func (m *machine) beginFull(h *clientHello, o *offers) error {
	c, err := m.choose(h, o)
	if err != nil {
		return err
	}
	m.suite = c.suite
	hello := m.newServerHello(h, o)
	hello.ticket = m.offers.ticket
	m.offers.ticket = hello.ticket
	certificates := !c.suite.psk
	if certificates {
		hello.clientCert, hello.serverCert, hello.serverName = c.clientCert, c.cert, c.named
		m.offers.clientRaw = c.clientCert.typ == certRawPublicKey
	}
	m.say(typeServerHello, hello.body())
	if certificates {
		body := c.credential.chain
		if c.cert.typ == certRawPublicKey {
			body = c.credential.raw
		}
		m.say(typeCertificate, body)
	}
	if c.suite.ecdhe {
		body, err := m.keyExchange(&c)
		if err != nil {
			return &failure{alert: alertInternalError, reason: err}
		}
		m.say(typeServerKeyExchange, body)
	}
	m.phase = phaseKeyExchange
	if certificates {
		m.say(typeCertificateRequest, m.server.request)
		m.phase = phaseCertificate
	}
	m.say(typeServerHelloDone, nil)
	return m.transmit(0)
}

// number is the number of our next message: the first has the hello's (RFC 6347
// §4.2.2: the HelloVerifyRequest before it had one less).
func (m *machine) number() uint16 {
	m.said++
	return m.log[0].seq + m.said - 1
}

// say appends a message to the flight.
func (m *machine) say(typ uint8, body []byte) {
	msg := message{typ, m.number(), body}
	m.note(msg)
	m.flight++
}

// keyExchange makes a ServerKeyExchange: an ephemeral key, after an empty hint with a
// pre-shared key (RFC 5489 §2), else signed (RFC 8422 §5.4).
func (m *machine) keyExchange(c *choice) ([]byte, error) {
	var err error
	if m.share, err = newShare(c.group); err != nil {
		return nil, err
	}
	params := shareParams(c.group, m.share)
	if c.suite.psk {
		return append([]byte{0, 0}, params...), nil
	}
	signature, err := c.scheme.sign(c.credential.signer, m.clientRandom[:], m.serverRandom[:], params)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
	params = binary.BigEndian.AppendUint16(params, uint16(c.scheme))
	params = binary.BigEndian.AppendUint16(params, uint16(len(signature))) //nolint:gosec // G115: about a hundred
	return append(params, signature...), nil
}
