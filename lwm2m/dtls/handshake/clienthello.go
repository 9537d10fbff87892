package handshake

import (
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// A clientHello is what a client offers (RFC 6347 §4.2.1); its slices alias the
// message.
type clientHello struct {
	helloHead

	suites, compression, extensions []byte
}

// A helloHead is the beginning of a ClientHello, which its first fragment must hold.
type helloHead struct {
	version           uint16
	random            [randomLength]byte
	sessionID, cookie []byte
}

// parseHelloHead reads the beginning of a ClientHello up to the cookie, and returns
// what follows it.
func parseHelloHead(b []byte) (h helloHead, rest []byte, ok bool) {
	s := cryptobyte.String(b)
	var id, cookie cryptobyte.String
	if !s.ReadUint16(&h.version) || !s.CopyBytes(h.random[:]) || !s.ReadUint8LengthPrefixed(&id) ||
		len(id) > maxSessionID || !s.ReadUint8LengthPrefixed(&cookie) {
		return helloHead{}, nil, false
	}
	h.sessionID, h.cookie = id, cookie
	return h, s, true
}

// parseClientHello reads a whole ClientHello. It is strict about everything but the
// content of extensions, which parseOffers reads.
func parseClientHello(b []byte) (h clientHello, ok bool) {
	head, rest, ok := parseHelloHead(b)
	if !ok {
		return clientHello{}, false
	}
	h.helloHead = head
	s := cryptobyte.String(rest)
	var suites, compression, extensions cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&suites) || len(suites) == 0 || len(suites)%2 != 0 ||
		!s.ReadUint8LengthPrefixed(&compression) || len(compression) == 0 {
		return clientHello{}, false
	}
	h.suites, h.compression = suites, compression
	if len(s) == 0 { // no extensions at all
		return h, true
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || len(s) != 0 {
		return clientHello{}, false
	}
	h.extensions = extensions
	return h, true
}

// offersSuite reports whether the client lists a cipher suite.
func (h *clientHello) offersSuite(id uint16) bool { return listed16(h.suites, id) }

// offersNoCompression reports whether the client lists the null method, as it must.
func (h *clientHello) offersNoCompression() bool { return slices.Contains(h.compression, 0) }

// listed16 looks for v in a list of 16-bit values.
func listed16(list []byte, v uint16) bool {
	for ; len(list) >= 2; list = list[2:] {
		if binary.BigEndian.Uint16(list) == v {
			return true
		}
	}
	return false
}
