package handshake

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// takeFinished checks the client's Finished, has the client judged, and makes our
// last flight of a full handshake. In a resumption ours came first.
func (m *machine) takeFinished(body []byte) error {
	want := verifyData(&m.master, labelClientEnd, m.before[:])
	switch {
	case len(body) != verifyLength:
		return fail(alertDecodeError, dtls.ErrHandshake, "finished of %d bytes", len(body))
	case subtle.ConstantTimeCompare(body, want) != 1:
		return fail(alertDecryptError, dtls.ErrHandshake, "finished does not fit the handshake")
	case m.unknown != nil: // nobody can get here without the key
		return m.mistrust()
	}
	if m.resumed == nil {
		m.binding = [verifyLength]byte(body)
		if err := m.judge(); err != nil {
			return err
		}
		if err := m.finish(); err != nil {
			return &failure{alert: alertInternalError, reason: err}
		}
	}
	m.phase = phaseEstablished
	return nil
}

// judge asks who the client is, which has proved it.
func (m *machine) judge() error {
	m.place.Judging()
	if m.chain != nil && m.recall() {
		return nil
	}
	var identity coap.Identity
	var err error
	m.server.work.outside(func() {
		identity, err = Judge(m.server.o.Credentials, &dtls.Established{
			Chain: m.chain, PSKIdentity: m.psk, RawKey: m.rawKey,
		})
	})
	if err != nil {
		return &failure{alert: alertBadCertificate, reason: errors.Join(dtls.ErrRefused, err)}
	}
	m.identity = identity
	return nil
}

// recall asks for what is known of the client's certificate, and reports whether
// something is.
func (m *machine) recall() (ok bool) {
	if r := m.server.recaller; r != nil {
		m.identity, ok = r.Recall(m.leaf.sum)
	}
	return ok
}

// Judge asks the credentials about a peer that has proved what e says, as the
// handshake did. It returns their refusal.
func Judge(c dtls.Credentials, e *dtls.Established) (coap.Identity, error) {
	switch {
	case e.Resumed && e.PSKIdentity == nil && e.RawKey == nil:
		r, ok := c.(dtls.Resumer)
		if !ok {
			return coap.Identity{}, fmt.Errorf("%w: nobody judges resumed sessions", dtls.ErrRefused)
		}
		return e.Identity, r.Resume(e.Identity)
	case e.RawKey != nil:
		r, ok := c.(dtls.RawKeys)
		if !ok {
			return coap.Identity{}, fmt.Errorf("%w: raw public key", dtls.ErrRefused)
		}
		return r.IdentifyKey(e.RawKey)
	default:
		return c.Identify(e.Chain, e.PSKIdentity)
	}
}

// finish makes flight 6 (RFC 6347 §4.2.4): a ticket if the client wants one,
// ChangeCipherSpec and Finished. It is kept, to be repeated byte for byte.
func (m *machine) finish() error {
	m.flight = 0
	p := m.packer(mtu)
	if m.offers.ticket {
		ticket := message{typeNewSessionTicket, m.number(), ticketBody(m.newTicket())}
		m.note(ticket)
		p.add(ticket)
	}
	digest := m.digest()
	finished := message{typeFinished, m.number(), verifyData(&m.master, labelServerEnd, digest[:])}
	if err := p.addFinished(finished); err != nil {
		return err
	}
	m.last = p.buffer
	return nil
}

// minTicketRecord is the shortest record that a ticket is cut into: in more pieces
// the last flight would not be one datagram.
const minTicketRecord = 512

// newTicket seals the session, nil if it cannot be resumed.
func (m *machine) newTicket() []byte {
	if _, ok := m.server.o.Credentials.(dtls.Resumer); !ok && m.chain != nil {
		return nil
	}
	if m.offers.limit > 0 && m.offers.limit < minTicketRecord {
		return nil
	}
	now := time.Now()
	t := &ticket{
		suite: m.suite.id, master: m.master, born: now.Unix(), serverName: m.offers.serverName,
		identity: m.identity, psk: m.psk, rawKey: m.rawKey,
	}
	if m.psk != nil {
		t.pskHash = m.pskHash
	}
	return m.server.tickets.seal(t, now)
}

// established is the outcome.
func (m *machine) established() *dtls.Established {
	return &dtls.Established{
		Session: m.session, Identity: m.identity, Chain: m.chain, PSKIdentity: m.psk, RawKey: m.rawKey,
		Resumed: m.resumed != nil, LastFlight: m.last, Binding: m.binding,
	}
}
