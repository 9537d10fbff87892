package handshake

import (
	"bytes"
	"crypto/subtle"

	"steward/lwm2m/dtls"
)

// receive takes a datagram, and reports whether the handshake has moved on. An error
// ends it, and is a failure when the server is to be told.
func (c *caller) receive(datagram []byte) (moved bool, err error) {
	before := c.phase
	sent := c.seq
	for rest := datagram; len(rest) > 0; {
		r, next, err := dtls.ParseRecord(rest)
		if err != nil {
			break // RFC 6347 §4.1.2.7: discarded silently
		}
		if err := c.takeRecord(r, rest[:len(rest)-len(next)]); err != nil {
			return false, err
		}
		rest = next
	}
	if err := c.takeEarly(); err != nil {
		return false, err
	}
	return c.phase != before || c.seq != sent, nil
}

func (c *caller) takeRecord(r dtls.Record, raw []byte) error {
	switch {
	case r.Epoch == 1:
		return c.takeProtected(r, raw)
	case r.Epoch != 0 || c.phase == callerDone:
		return nil
	case r.Type == dtls.Handshake:
		return c.takeFragments(r.Fragment, 0)
	case r.Type == dtls.ChangeCipherSpec:
		c.ccs = c.ccs || c.phase == callerFinished && bytes.Equal(r.Fragment, []byte{1})
	case r.Type == dtls.Alert:
		return takeAlert(r.Fragment)
	}
	return nil
}

// takeEarly reads the records that came before their time, if it has come.
func (c *caller) takeEarly() error {
	if c.phase != callerDone && (c.phase != callerFinished || !c.ccs) {
		return nil
	}
	early := c.early
	c.early = nil
	for _, raw := range early {
		r, _, err := dtls.ParseRecord(raw)
		if err != nil {
			continue
		}
		if err := c.takeProtected(r, raw); err != nil {
			return err
		}
	}
	return nil
}

// takeProtected reads a record of epoch 1 if its time has come. What is no part of
// the handshake is for the session, which must not know of it yet.
func (c *caller) takeProtected(r dtls.Record, raw []byte) error {
	switch {
	case c.phase == callerDone:
		c.late = keepRecord(c.late, raw)
		return nil
	case c.phase != callerFinished || !c.ccs:
		c.early = keepRecord(c.early, raw)
		return nil
	}
	probe := c.session
	o, err := probe.Open(nil, r)
	switch {
	case err != nil:
		return nil //nolint:nilerr // RFC 6347 §4.1.2.7: what is not authentic is discarded silently
	case o.Type == dtls.Handshake:
		c.session = probe
		return c.takeFragments(o.Plaintext, 1)
	case o.Type == dtls.Alert:
		c.session = probe
		return takeAlert(o.Plaintext)
	default:
		c.late = keepRecord(c.late, raw)
		return nil
	}
}

// keepRecord appends a copy of a record to a few.
func keepRecord(list [][]byte, raw []byte) [][]byte {
	if len(list) >= maxEarly || len(raw) > maxEarlyBytes {
		return list
	}
	return append(list, bytes.Clone(raw))
}

// takeFragments reads the messages in a handshake record, whole or in part.
func (c *caller) takeFragments(b []byte, epoch uint16) error {
	for len(b) > 0 && c.phase != callerDone {
		f, rest, ok := parseFragment(b)
		if !ok {
			return nil
		}
		b = rest
		if f.seq < c.in.next {
			continue // of a flight that we have: ours was lost, and its time will come
		}
		if f.seq == c.in.next && (!c.awaits(f.typ, epoch) || f.length > maxServerLength(f.typ)) {
			return fail(alertUnexpectedMessage, dtls.ErrHandshake, "message of type %d with %d bytes", f.typ, f.length)
		}
		c.in.add(f, epoch, maxServerLength)
		if err := c.takeMessages(); err != nil {
			return err
		}
	}
	return nil
}

func (c *caller) takeMessages() error {
	for c.phase != callerDone {
		msg, epoch, ok := c.in.take()
		if !ok {
			return nil
		}
		if !c.awaits(msg.typ, epoch) {
			return fail(alertUnexpectedMessage, dtls.ErrHandshake, "message of type %d in epoch %d", msg.typ, epoch)
		}
		if err := c.take(msg); err != nil {
			return err
		}
	}
	return nil
}

// awaits reports whether a message of a type may come next.
func (c *caller) awaits(typ uint8, epoch uint16) bool {
	if epoch != 0 {
		return c.phase == callerFinished && typ == typeFinished
	}
	switch c.phase {
	case callerHello:
		return typ == typeServerHello || typ == typeHelloVerifyRequest && c.seq <= maxHellos
	case callerCertificate:
		return typ == typeCertificate
	case callerKeyExchange:
		return typ == typeServerKeyExchange || typ == typeServerHelloDone && !c.suite.ecdhe
	case callerRequest:
		return typ == typeCertificateRequest || typ == typeServerHelloDone
	case callerHelloDone:
		return typ == typeServerHelloDone
	default:
		return false
	}
}

// maxHellos is how many hellos a server may ask for.
const maxHellos = 3

// take reads a message whose turn it is.
func (c *caller) take(m message) error {
	if m.typ == typeHelloVerifyRequest {
		return c.takeVerifyRequest(m.body)
	}
	before := c.log
	c.log = append(c.log, m)
	switch m.typ {
	case typeServerHello:
		return c.takeServerHello(m.body)
	case typeCertificate:
		return c.takeCertificate(m.body)
	case typeServerKeyExchange:
		return c.takeKeyExchange(m.body)
	case typeCertificateRequest:
		return c.takeRequest(m.body)
	case typeServerHelloDone:
		if len(m.body) > 0 {
			return fail(alertDecodeError, dtls.ErrHandshake, "server hello done of %d bytes", len(m.body))
		}
		return c.answer()
	default:
		return c.takeFinished(m.body, before)
	}
}

func (c *caller) takeVerifyRequest(body []byte) error {
	cookie, ok := parseVerifyRequest(body)
	if !ok {
		return fail(alertDecodeError, dtls.ErrHandshake, "hello verify request")
	}
	c.sayHello(cookie)
	return c.transmit(0)
}

func (c *caller) takeFinished(body []byte, before []message) error {
	digest := hashOf(before)
	want := verifyData(&c.master, labelServerEnd, digest[:])
	switch {
	case len(body) != verifyLength:
		return fail(alertDecodeError, dtls.ErrHandshake, "finished of %d bytes", len(body))
	case subtle.ConstantTimeCompare(body, want) != 1:
		return fail(alertDecryptError, dtls.ErrHandshake, "finished does not fit the handshake")
	}
	c.phase = callerDone
	return nil
}
