package handshake

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// resumable opens the client's ticket and returns it if its session may go on: with
// the same suite, name and protection of the master secret (RFC 7627 §5.3, RFC 6066
// §3), of a peer who is still who it was. Nil means a full handshake.
func (m *machine) resumable(h *clientHello, o *offers) *ticket {
	if m.server.o.NoTickets || !o.masterSecret {
		return nil
	}
	t := m.server.tickets.open(o.ticket, time.Now())
	if t == nil || t.serverName != o.serverName || !h.offersSuite(t.suite) || suiteOf(t.suite) == nil {
		return nil
	}
	m.place.Judging()
	if t.psk == nil && t.rawKey == nil && m.server.recaller != nil {
		if id, ok := m.server.recaller.Recall(t.identity.Certificate); ok {
			return t.of(id)
		}
	}
	good := false
	m.server.work.outside(func() { good = m.stillGood(t) })
	if !good {
		return nil
	}
	return t
}

// of returns t if it is that identity's.
func (t *ticket) of(id coap.Identity) *ticket {
	if t.identity != id {
		return nil
	}
	return t
}

// stillGood asks whether the peer of a ticket is who it was, with the key it had.
func (m *machine) stillGood(t *ticket) bool {
	if t.psk != nil {
		key, err := m.server.o.Credentials.PSK(t.psk)
		hash := sha256.Sum256(key)
		if err != nil || subtle.ConstantTimeCompare(hash[:], t.pskHash[:]) != 1 {
			return false
		}
	}
	identity, err := Judge(m.server.o.Credentials, &dtls.Established{
		Resumed: true, Identity: t.identity, PSKIdentity: t.psk, RawKey: t.rawKey,
	})
	return err == nil && identity == t.identity
}

// resume sends the flight that ends with our Finished (RFC 5246 §7.3, RFC 5077 §3.1).
// The ticket stays good until its session is too old.
func (m *machine) resume(t *ticket, h *clientHello, o *offers) error {
	m.suite = suiteOf(t.suite)
	m.prove()
	m.master, m.resumed = t.master, t
	m.identity, m.psk, m.rawKey = t.identity, t.psk, t.rawKey
	if err := m.newSession(); err != nil {
		return &failure{alert: alertInternalError, reason: err}
	}
	hello := m.newServerHello(h, o)
	hello.sessionID = h.sessionID
	m.say(typeServerHello, hello.body())
	digest := m.digest()
	finished := verifyData(&m.master, labelServerEnd, digest[:])
	m.binding = [verifyLength]byte(finished)
	m.say(typeFinished, finished)
	m.phase = phaseFinished
	return m.transmit(0)
}
