package handshake

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
)

// HelloWith is a hello with other suites and extensions.
func HelloWith(body, suites, extensions []byte) []byte {
	h, ok := parseClientHello(body)
	if !ok || len(suites) > 500 || len(extensions) > 1000 {
		return body
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(h.version)
	b.AddBytes(h.random[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.cookie) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(suites) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.compression) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(extensions) })
	return b.BytesOrPanic()
}

// ParseAll reads b as each kind of message. It returns false, and what came of
// writing, if that is not b again.
func ParseAll(b []byte) (again []byte, ok bool) {
	if h, ok := parseClientHello(b); ok {
		again := HelloWith(b, h.suites, h.extensions)
		if h.extensions == nil {
			again = again[:len(again)-2] // there may be none at all, or an empty list
		}
		if !bytes.HasPrefix(b, again) {
			return again, false
		}
		_, _, _ = parseOffers(h.extensions)
		_ = offerDigest(&h)
	}
	if chain, ok := parseChain(b); ok {
		c := Client{Chain: chain}
		if again := c.certificate(); !bytes.Equal(again, b) {
			return again, false
		}
	}
	for i := range suites {
		_, _ = parseClientKeyExchange(b, &suites[i])
	}
	_, _ = parseRawKey(b)
	_, _, _ = parseCertificateVerify(b)
	_, _ = keyInfo(b)
	f, rest, ok := parseFragment(b)
	if ok && len(rest)+messageHeader+len(f.body) != len(b) {
		return f.body, false
	}
	return nil, true
}

// ParseTicket reads a ticket and writes it again.
func ParseTicket(b []byte) ([]byte, bool) {
	t, ok := parseTicket(b)
	if !ok {
		return nil, false
	}
	return t.marshal(), true
}

// ParseServer reads b as each message that servers send.
func ParseServer(b []byte) {
	_, _ = parseVerifyRequest(b)
	_, _ = parseServerHello(b)
	_, _ = parseCertificateRequest(b)
	for i := range suites {
		_, _ = parseServerKeyExchange(b, &suites[i])
	}
}
