package handshake

import (
	"crypto"
	"crypto/hmac"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"steward/lwm2m/dtls"
)

func (c *Client) receive(datagram []byte) error {
	for len(datagram) > 0 {
		r, rest, err := dtls.ParseRecord(datagram)
		if err != nil {
			return err
		}
		datagram = rest
		b, typ := r.Fragment, r.Type
		if r.Epoch == 1 {
			if !c.keyed {
				return fmt.Errorf("%w: record without keys", ErrPeer)
			}
			o, err := c.Session.Open(nil, r)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrPeer, err)
			}
			b, typ = o.Plaintext, o.Type
		}
		switch typ {
		case dtls.Alert:
			c.Alert = int(b[1])
			return fmt.Errorf("%w: alert %d", ErrPeer, b[1])
		case dtls.Handshake:
			if err := c.receiveFragments(b); err != nil {
				return err
			}
		default:
		}
	}
	return nil
}

func (c *Client) receiveFragments(b []byte) error {
	for len(b) > 0 {
		f, rest, ok := parseFragment(b)
		if !ok {
			return fmt.Errorf("%w: fragment", ErrPeer)
		}
		b = rest
		if f.typ == typeHelloVerifyRequest {
			c.Cookie = slices.Clone(f.body[3:])
			c.next = 1
			continue
		}
		p := c.pieces[f.seq]
		if p == nil {
			p = &partial{typ: f.typ, length: f.length, left: f.length}
			c.pieces[f.seq] = p
		}
		p.fill(f)
		for p := c.pieces[c.next]; p != nil && p.left == 0; p = c.pieces[c.next] {
			m := message{p.typ, c.next, p.body}
			c.next++
			if err := c.take(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) take(m message) error {
	before := digestOf(c.log)
	c.log = append(c.log, m)
	s := cryptobyte.String(m.body)
	if c.suite == nil && m.typ != typeServerHello {
		return fmt.Errorf("%w: message of type %d before the server hello", ErrPeer, m.typ)
	}
	switch m.typ {
	case typeServerHello:
		return c.takeServerHello(s)
	case typeCertificate:
		c.ServerCert = m.body
	case typeServerKeyExchange:
		return c.takeServerKeyExchange(s)
	case typeCertificateRequest:
		c.requested = true
	case typeNewSessionTicket:
		c.NewTicket = slices.Clone(m.body[6:])
	case typeFinished:
		want := verifyData((*[masterLength]byte)(c.NewMaster), labelServerEnd, before)
		if !hmac.Equal(want, m.body) {
			return fmt.Errorf("%w: wrong finished", ErrPeer)
		}
		c.finished, c.Finished[1] = true, m.body
	}
	return nil
}

func (c *Client) takeServerHello(s cryptobyte.String) error {
	var version, id uint16
	var session, extensions cryptobyte.String
	if !s.ReadUint16(&version) || !s.CopyBytes(c.serverRandom[:]) || !s.ReadUint8LengthPrefixed(&session) ||
		!s.ReadUint16(&id) || !s.Skip(1) || !s.ReadUint16LengthPrefixed(&extensions) || len(s) != 0 {
		return fmt.Errorf("%w: server hello", ErrPeer)
	}
	c.suite = suiteOf(id)
	for len(extensions) > 0 {
		var typ uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&typ) || !extensions.ReadUint16LengthPrefixed(&body) {
			return fmt.Errorf("%w: extensions", ErrPeer)
		}
		c.Accepted[typ] = body
	}
	if len(session) > 0 && string(session) == string(c.sessionID) {
		c.Resumed, c.NewMaster = true, c.Master
		return c.makeKeys()
	}
	return nil
}

func (c *Client) takeServerKeyExchange(s cryptobyte.String) error {
	var hint, point cryptobyte.String
	if c.suite.psk && !s.ReadUint16LengthPrefixed(&hint) {
		return fmt.Errorf("%w: hint", ErrPeer)
	}
	params := []byte(s)
	var typ uint8
	if !s.ReadUint8(&typ) || !s.ReadUint16(&c.group) || !s.ReadUint8LengthPrefixed(&point) {
		return fmt.Errorf("%w: server key exchange", ErrPeer)
	}
	c.point = point
	if c.suite.psk {
		return nil
	}
	params = params[:len(params)-len(s)]
	id, signature, ok := parseCertificateVerify(s)
	if !ok {
		return fmt.Errorf("%w: server's signature", ErrPeer)
	}
	key, err := c.serverKey()
	if err != nil {
		return err
	}
	return id.verify(key, signature, c.Random[:], c.serverRandom[:], params)
}

func (c *Client) serverKey() (crypto.PublicKey, error) {
	var k keys
	if t := c.Accepted[extServerCertType]; len(t) == 1 && t[0] == certRawPublicKey {
		spki, _ := parseRawKey(c.ServerCert)
		return k.of(keyID{raw: true}, spki)
	}
	chain, ok := parseChain(c.ServerCert)
	if !ok {
		return nil, fmt.Errorf("%w: certificate", ErrPeer)
	}
	return k.of(keyID{}, chain[0])
}
