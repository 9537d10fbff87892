package handshake

import (
	"crypto/sha256"
	"hash"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// prove makes room for what comes of the client's last flight.
func (m *machine) prove() {
	m.proof = &proof{sum: sha256.New()}
	for _, msg := range m.log {
		m.add(msg)
	}
}

// note appends a message to the handshake so far.
func (m *machine) note(msg message) {
	m.log = append(m.log, msg)
	if m.proof != nil {
		m.add(msg)
	}
}

// A proof is what comes of the client's last flight. It is apart so that those
// who never send one cost less.
type proof struct {
	sum    hash.Hash         // SHA-256 of the handshake so far
	before [sha256.Size]byte // the same without the message that is being read

	master  [masterLength]byte
	session dtls.Session

	chain    [][]byte // of the client, not proved before takeVerify
	rawKey   []byte   // the same for a raw public key
	leaf     keyID    // of either
	psk      []byte
	pskHash  [sha256.Size]byte
	unknown  error // why the identity has no key
	resumed  *ticket
	identity coap.Identity
	last     []byte                   // our last flight
	binding  [dtls.BindingLength]byte // the first Finished
}

// add hashes a message.
func (p *proof) add(msg message) {
	header := msg.header()
	_, _ = p.sum.Write(header[:]) // never fails
	_, _ = p.sum.Write(msg.body)
}

// digest is the hash of the messages so far (RFC 5246 §7.4.9).
func (p *proof) digest() (out [sha256.Size]byte) {
	p.sum.Sum(out[:0])
	return out
}

// hashOf is the hash of messages.
func hashOf(log []message) [sha256.Size]byte {
	p := proof{sum: sha256.New()}
	for _, msg := range log {
		p.add(msg)
	}
	return p.digest()
}

// transcript are the messages themselves.
func transcript(log []message) []byte {
	var out []byte
	for _, msg := range log {
		header := msg.header()
		out = append(append(out, header[:]...), msg.body...)
	}
	return out
}
