package coap

// A Bound is a Peer that tells what its connection is bound to, so that a proof made
// elsewhere can be tied to it (RFC 9148 §3, RFC 7030 §3.5).
type Bound interface {
	// ChannelBinding returns tls-unique (RFC 5929 §3), the 12 bytes of the first
	// Finished of the handshake, or over TLS 1.3 the 32 bytes of tls-exporter (RFC 9266
	// §2). It is nil where there is no security, and where it is not known any more:
	// listeners keep it as long as associations of the roles factory and bootstrap, and
	// for two minutes with operational ones. A new handshake makes a new one.
	ChannelBinding() []byte
}
