package handshake

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"steward/lwm2m/dtls"
)

// A Msg is a message of the test's client, or with type 0 its ChangeCipherSpec.
type Msg struct {
	Typ   uint8
	Seq   uint16
	Body  []byte
	Epoch uint16
}

// A Client is a client whose every message the test can change.
type Client struct {
	Suite                   uint16
	Suites                  []uint16 // instead of Suite
	Group                   uint16   // zero: P-256
	Groups, Schemes         []uint16 // instead of those that are usual
	Chain                   [][]byte
	Key                     crypto.Signer
	RawKey                  bool   // offers and sends a raw public key
	RawBody                 []byte // sent in its place
	ServerRaw               bool   // wants one
	ServerTypes             []byte // instead of it: the types listed
	PSKIdentity, PSK        []byte
	ServerName              string
	CID                     []byte // nil: no extension
	NoMasterSecret          bool
	WantTicket              bool
	Ticket, Master          []byte // of an earlier handshake
	RecordSize              uint16
	MaxFragment             uint8
	Extra                   []byte // extensions as they are on the wire
	Version                 uint16 // zero: 1.2
	Fragment                int    // longest piece of a message; zero: whole
	ChangeHello, ChangeNext func(body []byte) []byte
	ChangeFlight            func(flight []Msg) []Msg

	Random            [32]byte
	Cookie, NewTicket []byte
	Accepted          map[uint16][]byte // extensions of the ServerHello
	Resumed           bool
	ServerCert        []byte
	Session           dtls.Session
	Alert             int // that came, -1: none
	NewMaster         []byte
	Finished          [2][]byte // what the client and the server finished with
	Sent              [][]byte
	record            uint64
	seq               uint16
	log               []message
	serverRandom      [32]byte
	sessionID         []byte
	group             uint16
	point             []byte
	requested         bool
	keyed, finished   bool
	suite             *suite
	pieces            map[uint16]*partial
	next              uint16
}

// ErrPeer reports what the test's client does not like about the server.
var ErrPeer = errors.New("client")

// hello makes the body of a ClientHello.
func (c *Client) hello() []byte {
	suites := c.Suites
	if suites == nil {
		suites = []uint16{c.Suite}
	}
	version := c.Version
	if version == 0 {
		version = version12
	}
	var b cryptobyte.Builder
	b.AddUint16(version)
	b.AddBytes(c.Random[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.sessionID) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.Cookie) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, s := range suites {
			b.AddUint16(s)
		}
	})
	b.AddBytes([]byte{1, 0})
	b.AddUint16LengthPrefixed(c.addExtensions)
	return b.BytesOrPanic()
}

func list(values ...uint16) []byte {
	out := []byte{byte(2 * len(values) >> 8), byte(2 * len(values))}
	for _, v := range values {
		out = append(out, byte(v>>8), byte(v))
	}
	return out
}

func (c *Client) addExtensions(b *cryptobyte.Builder) {
	add := func(present bool, typ uint16, body ...byte) {
		if present {
			b.AddUint16(typ)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(body) })
		}
	}
	groups, signatures := c.Groups, c.Schemes
	if groups == nil {
		groups = []uint16{max(c.Group, groupP256)}
	}
	if signatures == nil {
		signatures = []uint16{uint16(ecdsaSHA256), uint16(ecdsaSHA384), uint16(ed25519Pure)}
	}
	add(c.ServerName != "", extServerName, append([]byte{
		byte((len(c.ServerName) + 3) >> 8), byte(len(c.ServerName) + 3), 0, 0, byte(len(c.ServerName)),
	}, c.ServerName...)...)
	add(true, extSupportedGroups, list(groups...)...)
	add(true, extPointFormats, 1, 0)
	add(true, extSignatureAlgorithms, list(signatures...)...)
	add(!c.NoMasterSecret, extMasterSecret)
	add(true, extRenegotiation, 0)
	add(c.WantTicket || c.Ticket != nil, extSessionTicket, c.Ticket...)
	add(c.CID != nil, extConnectionID, append([]byte{byte(len(c.CID))}, c.CID...)...)
	add(c.RecordSize > 0, extRecordSizeLimit, byte(c.RecordSize>>8), byte(c.RecordSize))
	add(c.MaxFragment > 0, extMaxFragmentLength, c.MaxFragment)
	add(c.RawKey, extClientCertType, 1, certRawPublicKey)
	add(c.ServerRaw, extServerCertType, 1, certRawPublicKey)
	add(c.ServerTypes != nil, extServerCertType, append([]byte{byte(len(c.ServerTypes))}, c.ServerTypes...)...)
	b.AddBytes(c.Extra)
}

// records puts a message into records, in epoch 1 sealed.
func (c *Client) records(m Msg) []byte {
	if m.Typ == 0 {
		c.record++
		return append(appendRecordHeader(nil, recordCCS, c.record, 1), 1)
	}
	var out []byte
	msg := message{m.Typ, m.Seq, m.Body}
	for offset := 0; ; {
		n := len(m.Body) - offset
		if c.Fragment > 0 {
			n = min(n, c.Fragment)
		}
		header := fragmentHeader(msg, offset, n)
		piece := append(header[:], m.Body[offset:offset+n]...)
		if m.Epoch == 1 {
			out, _ = c.Session.Seal(out, dtls.Handshake, piece)
		} else {
			c.record++
			out = append(appendRecordHeader(out, recordHandshake, c.record, len(piece)), piece...)
		}
		if offset += n; offset == len(m.Body) {
			return out
		}
	}
}

// say makes the next message and notes it.
func (c *Client) say(typ uint8, body []byte) Msg {
	m := Msg{Typ: typ, Seq: c.seq, Body: body}
	c.seq++
	c.log = append(c.log, message{typ, m.Seq, body})
	return m
}

// Run leads the handshake. exchange sends datagrams and returns the answers.
func (c *Client) Run(exchange func(datagrams ...[]byte) [][]byte) error {
	c.Alert = -1
	c.Accepted = map[uint16][]byte{}
	c.pieces = map[uint16]*partial{}
	_, _ = rand.Read(c.Random[:])
	if c.Ticket != nil {
		c.sessionID = slices.Clone(c.Random[:16])
	}
	post := func(datagrams ...[]byte) error {
		c.Sent = append(c.Sent, datagrams...)
		for _, d := range exchange(datagrams...) {
			if err := c.receive(d); err != nil {
				return err
			}
		}
		return nil
	}
	for len(c.log) < 2 { // until the server says hello
		if c.seq > 1 {
			return fmt.Errorf("%w: no server hello", ErrPeer)
		}
		c.log = nil
		body := c.hello()
		if c.seq == 0 && c.ChangeHello != nil {
			body = c.ChangeHello(body)
		}
		if c.seq == 1 && c.ChangeNext != nil {
			body = c.ChangeNext(body)
		}
		if err := post(c.records(c.say(typeClientHello, body))); err != nil {
			return err
		}
	}
	flight, err := c.answer()
	if err != nil {
		return err
	}
	if c.ChangeFlight != nil {
		flight = c.ChangeFlight(flight)
	}
	var datagrams [][]byte
	for _, m := range flight {
		datagrams = append(datagrams, c.records(m))
	}
	if err := post(datagrams...); err != nil {
		return err
	}
	if !c.finished {
		return fmt.Errorf("%w: server has not finished", ErrPeer)
	}
	return nil
}

// answer makes the client's last flight.
func (c *Client) answer() ([]Msg, error) {
	var flight []Msg
	if c.Resumed {
		if !c.finished {
			return nil, fmt.Errorf("%w: no finished in a resumption", ErrPeer)
		}
		return c.finish(nil), nil
	}
	if c.requested {
		flight = append(flight, c.say(typeCertificate, c.certificate()))
	}
	exchange, premaster, err := c.exchange()
	if err != nil {
		return nil, err
	}
	flight = append(flight, c.say(typeClientKeyExchange, exchange))
	var master [masterLength]byte
	if c.NoMasterSecret {
		prf(master[:], premaster, labelMaster, c.Random[:], c.serverRandom[:])
	} else {
		prf(master[:], premaster, labelExtended, digestOf(c.log))
	}
	c.NewMaster = master[:]
	if c.requested && c.Key != nil {
		s, _ := chooseScheme(c.Key.Public(), list(uint16(ecdsaSHA256), uint16(ecdsaSHA384), uint16(ed25519Pure))[2:])
		signature, err := s.sign(c.Key, transcript(c.log))
		if err != nil {
			return nil, err
		}
		body := append([]byte{byte(s >> 8), byte(s), byte(len(signature) >> 8), byte(len(signature))}, signature...)
		flight = append(flight, c.say(typeCertificateVerify, body))
	}
	if err := c.makeKeys(); err != nil {
		return nil, err
	}
	return c.finish(flight), nil
}

func (c *Client) finish(flight []Msg) []Msg {
	data := verifyData((*[masterLength]byte)(c.NewMaster), labelClientEnd, digestOf(c.log))
	c.Finished[0] = data
	finished := c.say(typeFinished, data)
	finished.Epoch = 1
	return append(flight, Msg{}, finished)
}

func (c *Client) certificate() []byte {
	var b cryptobyte.Builder
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		if c.RawKey {
			spki, _ := x509.MarshalPKIXPublicKey(c.Key.Public())
			if c.RawBody != nil {
				spki = c.RawBody
			}
			b.AddBytes(spki)
			return
		}
		for _, der := range c.Chain {
			b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
		}
	})
	return b.BytesOrPanic()
}

func (c *Client) exchange() (body, premaster []byte, err error) {
	if c.suite.psk {
		body = append([]byte{byte(len(c.PSKIdentity) >> 8), byte(len(c.PSKIdentity))}, c.PSKIdentity...)
	}
	if c.suite.ecdhe {
		key, err := newShare(c.group)
		if err != nil {
			return nil, nil, err
		}
		if premaster, err = agree(key, c.point); err != nil {
			return nil, nil, err
		}
		point := key.PublicKey().Bytes()
		body = append(append(body, byte(len(point))), point...)
	}
	if c.suite.psk {
		premaster = premasterPSK(premaster, c.PSK)
	}
	return body, premaster, nil
}

// makeKeys makes the session of the client's side: the halves of the block change.
func (c *Client) makeKeys() (err error) {
	b := keyBlock((*[masterLength]byte)(c.NewMaster), &c.Random, &c.serverRandom)
	swapped := slices.Concat(b[16:32], b[:16], b[36:40], b[32:36])
	var peer, own []byte
	if cid, ok := c.Accepted[extConnectionID]; ok && len(cid) > 1 {
		peer, own = cid[1:], c.CID
	}
	if len(own) != dtls.CIDLength {
		own = nil
	}
	c.Session, err = dtls.NewSession(dtls.SessionOptions{
		Protection: c.suite.protection, KeyBlock: swapped, PeerCID: peer, CID: own,
	})
	c.keyed = true
	return err
}
