package handshake

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"fmt"
	"net/netip"

	"steward/lwm2m/dtls"
)

// A phase says which message must come next:
//
//	hello → certificate → keyExchange → verify → finished → established
//	hello ─────────────→ keyExchange ──────────→ finished    pre-shared key
//	hello ─────────────────────────────────────→ finished    resumption
type phase uint8

const (
	phaseHello phase = iota
	phaseCertificate
	phaseKeyExchange
	phaseVerify
	phaseFinished
	phaseEstablished
)

// A step is what a phase waits for.
type step struct {
	typ   uint8
	epoch uint16
	take  func(m *machine, body []byte) error
}

// step returns what the machine waits for; established, it waits for nothing.
func (m *machine) step() step {
	switch m.phase {
	case phaseHello:
		return step{typeClientHello, 0, (*machine).takeHello}
	case phaseCertificate:
		return step{typeCertificate, 0, (*machine).takeCertificate}
	case phaseKeyExchange:
		return step{typeClientKeyExchange, 0, (*machine).takeKeyExchange}
	case phaseVerify:
		return step{typeCertificateVerify, 0, (*machine).takeVerify}
	case phaseFinished:
		return step{typeFinished, 1, (*machine).takeFinished}
	default:
		return step{}
	}
}

const (
	recordCCS       = byte(dtls.ChangeCipherSpec)
	recordAlert     = byte(dtls.Alert)
	recordHandshake = byte(dtls.Handshake)

	// maxEarly and maxEarlyBytes bound the records kept that are not to be read yet: the
	// keys, or the Finished before them, are still missing.
	maxEarly      = 8
	maxEarlyBytes = 4096
	// maxForged is how many records of epoch 1 may fail to authenticate. A wrong
	// pre-shared key shows in nothing else, and whoever guesses at an address gets in
	// the way of a handshake only with luck.
	maxForged = 3
)

// A machine is one handshake. It is fed datagrams and sends datagrams; it starts
// nothing and waits for nothing.
type machine struct {
	server *Server
	addr   netip.AddrPort
	place  Place
	phase  phase
	offer  [digestLength]byte // digest of it, from the cookie; zero: not known

	in     reassembly
	log    []message // the handshake so far, the hello first
	flight int       // how many messages after the hello the client is to answer
	said   uint16    // how many messages are ours
	record uint64    // number of our next record in epoch 0
	ccs    bool      // the client's ChangeCipherSpec arrived
	again  bool      // the client has repeated its hello
	early  [][]byte  // records to be read later
	forged int

	clientRandom, serverRandom [randomLength]byte
	suite                      *suite
	offers                     agreed
	share                      *ecdh.PrivateKey

	*proof // nil until the client answers our flight, or resumes
}

// agreed is what remains of the client's offers.
type agreed struct {
	serverName   string
	masterSecret bool
	ticket       bool // the client wants one
	clientRaw    bool // its certificate is a raw public key
	limit        uint16
	peerCID, cid []byte
}

// receive takes a datagram. An error ends the handshake, and is a failure when the
// peer is to be told.
func (m *machine) receive(datagram []byte) error {
	for rest := datagram; len(rest) > 0; {
		r, next, err := dtls.ParseRecord(rest)
		if err != nil {
			break // RFC 6347 §4.1.2.7: discarded silently
		}
		if err := m.takeRecord(r, rest[:len(rest)-len(next)]); err != nil {
			return err
		}
		rest = next
	}
	if m.phase != phaseFinished || !m.ccs || len(m.early) == 0 {
		return nil
	}
	early := m.early
	m.early = nil
	for _, raw := range early {
		r, _, err := dtls.ParseRecord(raw)
		if err != nil {
			continue
		}
		if err := m.takeProtected(r, raw); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) takeRecord(r dtls.Record, raw []byte) error {
	switch {
	case r.Epoch == 1:
		return m.takeProtected(r, raw)
	case r.Epoch != 0 || m.phase == phaseEstablished:
		return nil
	}
	switch r.Type {
	case dtls.Handshake:
		return m.takeFragments(r.Fragment, 0)
	case dtls.ChangeCipherSpec:
		m.ccs = m.ccs || bytes.Equal(r.Fragment, []byte{1})
		return nil
	case dtls.Alert:
		return takeAlert(r.Fragment)
	case dtls.TLS12CID: // pion wraps alerts before there are keys; it is worth as much as one in the clear
		if n := len(r.Fragment); n > 0 && r.Fragment[n-1] == recordAlert {
			return takeAlert(r.Fragment[:n-1])
		}
		return nil
	default:
		return nil
	}
}

// takeProtected reads a record of epoch 1 if its time has come. What the client
// says beyond its Finished is for the session.
func (m *machine) takeProtected(r dtls.Record, raw []byte) error {
	if m.phase != phaseFinished {
		m.keep(raw)
		return nil
	}
	probe := m.session
	o, err := probe.Open(nil, r)
	switch {
	case errors.Is(err, dtls.ErrForged):
		if m.forged++; m.forged >= maxForged {
			return m.mistrust()
		}
		return nil
	case err != nil:
		return nil //nolint:nilerr // RFC 6347 §4.1.2.7: a replay, say, is discarded silently
	case o.Type == dtls.Handshake && m.ccs:
		m.session = probe
		return m.takeFragments(o.Plaintext, 1)
	case o.Type == dtls.Alert:
		m.session = probe
		return takeAlert(o.Plaintext)
	default:
		m.keep(raw)
		return nil
	}
}

// mistrust is the end of a client whose Finished our keys do not open. It is the
// same, at the same time, whether we know its identity or not (RFC 4279 §2 allows
// decrypt_error for both): a look-up that finds nothing is faster, or slower.
func (m *machine) mistrust() error {
	f := &failure{alert: alertDecryptError, reason: m.unknown, later: m.suite.psk}
	if m.unknown == nil {
		f.reason = fmt.Errorf("%w: finished cannot be decrypted", dtls.ErrHandshake)
	}
	return f
}

func (m *machine) keep(raw []byte) {
	total := len(raw)
	for _, e := range m.early {
		total += len(e)
	}
	if len(m.early) < maxEarly && total <= maxEarlyBytes {
		m.early = append(m.early, bytes.Clone(raw))
	}
}

// takeFragments reads the messages in a handshake record, whole or in part.
func (m *machine) takeFragments(b []byte, epoch uint16) error {
	for len(b) > 0 && m.phase != phaseEstablished {
		f, rest, ok := parseFragment(b)
		if !ok {
			return nil
		}
		b = rest
		if f.seq < m.in.next {
			m.again = m.again || f.typ == typeClientHello && epoch == 0
			continue
		}
		if want := m.step().typ; f.seq == m.in.next && (f.typ != want || f.length > maxLength(f.typ)) {
			return fail(alertUnexpectedMessage, dtls.ErrHandshake, "message of type %d with %d bytes, want type %d", f.typ,
				f.length, want)
		}
		m.in.add(f, epoch, maxLength)
		if err := m.takeMessages(); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) takeMessages() error {
	for m.phase != phaseEstablished {
		msg, epoch, ok := m.in.take()
		if !ok {
			return nil
		}
		want := m.step()
		if msg.typ != want.typ || epoch != want.epoch {
			return fail(alertUnexpectedMessage, dtls.ErrHandshake, "message of type %d in epoch %d, want %d", msg.typ, epoch,
				want.typ)
		}
		if m.proof == nil && m.phase != phaseHello {
			m.prove()
		}
		if m.proof != nil {
			m.before = m.digest()
		}
		m.note(msg)
		if err := want.take(m, msg.body); err != nil {
			return err
		}
	}
	return nil
}

// takeAlert ends the handshake on a fatal alert or a closure; warnings are ignored.
func takeAlert(b []byte) error {
	if len(b) != 2 || b[0] != levelFatal && alert(b[1]) != alertCloseNotify {
		return nil
	}
	return &alertError{alert(b[1])}
}
