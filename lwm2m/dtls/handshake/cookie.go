package handshake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"sync"
	"time"
)

const (
	macLength    = 16 // of a cookie: 128 bits against forgery
	digestLength = 8  // of a cookie: what the client offered
	// cookieLength lets the first fragment of 64 bytes hold a cookie.
	cookieLength = macLength + digestLength
	// cookieLife is how long one secret makes cookies; the one before still counts, so
	// that a cookie lives five to ten minutes: round trips of narrow-band networks take
	// tens of seconds.
	cookieLife = 5 * time.Minute
)

// A cookie shows that a client receives what is sent to its address. It says who
// it was made for and what was offered, so that nothing need be remembered
// (RFC 6347 §4.2.1): a MAC of 16 bytes, and the digest of the offer.
type cookie [cookieLength]byte

// cookies make and check them without allocating.
type cookies struct {
	mu       sync.Mutex
	current  hash.Hash // keyed
	previous hash.Hash // nil at first
	since    time.Time
	in       [maxCookieInput]byte
	out      [sha256.Size]byte
}

// maxCookieInput holds address, port, version, random, session identifier and digest.
const maxCookieInput = 16 + 2 + 2 + randomLength + 1 + maxSessionID + digestLength

// make returns the cookie for a hello from an address. digest is zero when the
// offer is not known yet.
func (c *cookies) make(from netip.AddrPort, h *helloHead, digest [digestLength]byte, now time.Time) (out cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rotate(now)
	copy(out[:], c.mac(c.current, from, h, digest[:]))
	copy(out[macLength:], digest[:])
	return out
}

// check reports whether h carries a cookie that was made for it at this address,
// and the digest that is in it.
func (c *cookies) check(from netip.AddrPort, h *helloHead, now time.Time) (digest [digestLength]byte, ok bool) {
	if len(h.cookie) != cookieLength {
		return digest, false
	}
	copy(digest[:], h.cookie[macLength:])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rotate(now)
	ok = hmac.Equal(c.mac(c.current, from, h, digest[:]), h.cookie[:macLength])
	if !ok && c.previous != nil {
		ok = hmac.Equal(c.mac(c.previous, from, h, digest[:]), h.cookie[:macLength])
	}
	return digest, ok
}

// rotate begins a new secret when the present one is old. The caller holds mu.
func (c *cookies) rotate(now time.Time) {
	age := now.Sub(c.since)
	if c.current != nil && age < cookieLife {
		return
	}
	c.previous = c.current
	if age >= 2*cookieLife {
		c.previous = nil
	}
	var secret [sha256.Size]byte
	_, _ = rand.Read(secret[:]) // never fails
	c.current, c.since = hmac.New(sha256.New, secret[:]), now
}

// mac is valid until the next call. The caller holds mu.
func (c *cookies) mac(h hash.Hash, from netip.AddrPort, hello *helloHead, digest []byte) []byte {
	addr := from.Addr().As16()
	b := append(c.in[:0], addr[:]...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, hello.version)
	b = append(b, hello.random[:]...)
	b = append(b, byte(len(hello.sessionID))) //nolint:gosec // G115: at most maxSessionID
	b = append(b, hello.sessionID...)
	b = append(b, digest...)
	h.Reset()
	_, _ = h.Write(b) // never fails
	return h.Sum(c.out[:0])[:macLength]
}

// offerDigest is the digest of what a client must not change between its hellos
// beside its random and session identifier. It is never zero.
func offerDigest(h *clientHello) (out [digestLength]byte) {
	var buffer [512]byte
	b := append(buffer[:0], h.suites...)
	b = append(b, h.compression...)
	sum := sha256.Sum256(b)
	copy(out[:], sum[:])
	out[0] |= 1
	return out
}

// appendVerifyRequest appends the record of a HelloVerifyRequest (RFC 6347 §4.2.1).
// Record and message take their numbers from the hello, since nothing is
// remembered; the version inside is 1.0 whatever will be agreed on.
func appendVerifyRequest(dst []byte, record uint64, seq uint16, c *cookie) []byte {
	const body = 2 + 1 + cookieLength
	dst = appendRecordHeader(dst, recordHandshake, record, messageHeader+body)
	dst = append(dst, typeHelloVerifyRequest, 0, 0, body)
	dst = binary.BigEndian.AppendUint16(dst, seq)
	dst = append(dst, 0, 0, 0, 0, 0, body)
	dst = append(dst, version10>>8, version10&0xff, cookieLength)
	return append(dst, c[:]...)
}
