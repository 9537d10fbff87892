package dtls

import "steward/lwm2m/coap"

// BindingLength is the length in bytes of a Finished (RFC 5246 §7.4.9).
const BindingLength = 12

// Established is the outcome of a handshake.
type Established struct {
	Session  Session
	Identity coap.Identity
	// Chain, PSKIdentity and RawKey are what the peer proved, one of them: a chain of
	// certificates, DER, leaf first; a pre-shared key; or a raw public key, a
	// SubjectPublicKeyInfo. A resumed session of a certificate has none.
	Chain       [][]byte
	PSKIdentity []byte
	RawKey      []byte
	// Binding is the first Finished of the handshake, the client's or, resumed, the
	// server's: the channel binding tls-unique (RFC 5929 §3).
	Binding [BindingLength]byte
	// Resumed says that the handshake continued an earlier one.
	Resumed bool
	// LastFlight repeats our last flight verbatim, for a peer that lost it; nil where
	// the peer speaks last.
	LastFlight []byte
}
