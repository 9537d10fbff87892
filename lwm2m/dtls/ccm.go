package dtls

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

const (
	blockLength = 16 // of AES
	// lengthField is L of RFC 3610 §2, the bytes that count a message's length: what a
	// nonce of 12 bytes leaves of a block.
	lengthField = blockLength - 1 - nonceLength
)

// A ccm seals and opens with AES-CCM (RFC 3610, NIST SP 800-38C) and nonces of 12
// bytes (RFC 6655 §3), without allocating: its scratch space is reused, since a
// block behind cipher.Block makes whatever is handed to it escape. It is not safe
// for concurrent use.
type ccm struct {
	block        cipher.Block
	mac, counter [blockLength]byte
	stream       [blockLength]byte
}

// seal encrypts message in place and writes the tag to tag, whose length is the tag's.
func (c *ccm) seal(tag, message, extra []byte, nonce *[nonceLength]byte) {
	c.authenticate(message, extra, nonce, len(tag))
	c.crypt(message, nonce)
	c.finish(tag)
}

// open decrypts message in place and reports whether tag is the right one; if it is
// not, the message is wiped.
func (c *ccm) open(tag, message, extra []byte, nonce *[nonceLength]byte) bool {
	c.crypt(message, nonce)
	c.authenticate(message, extra, nonce, len(tag))
	var want [blockLength]byte
	c.finish(want[:len(tag)])
	if subtle.ConstantTimeCompare(want[:len(tag)], tag) != 1 {
		clear(message)
		return false
	}
	return true
}

// authenticate leaves the CBC-MAC of everything in mac (RFC 3610 §2.2). extra is not
// empty and shorter than 65,280 bytes: it is a record's additional data.
func (c *ccm) authenticate(message, extra []byte, nonce *[nonceLength]byte, tag int) {
	const hasExtra = 1 << 6
	c.mac[0] = hasExtra | byte((tag-2)/2)<<3 | (lengthField - 1) //nolint:gosec // G115: 8 or 16
	copy(c.mac[1:], nonce[:])
	n := len(message)
	c.mac[13], c.mac[14], c.mac[15] = byte(n>>16), byte(n>>8), byte(n) //nolint:gosec // G115: its bytes
	c.block.Encrypt(c.mac[:], c.mac[:])

	var head [2]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(extra))) //nolint:gosec // G115: see above
	c.mac[0] ^= head[0]
	c.mac[1] ^= head[1]
	first := min(len(extra), blockLength-len(head))
	subtle.XORBytes(c.mac[len(head):], c.mac[len(head):], extra[:first])
	c.block.Encrypt(c.mac[:], c.mac[:])
	c.absorb(extra[first:])
	c.absorb(message)
}

// absorb chains b into the mac, filled up with zeros.
func (c *ccm) absorb(b []byte) {
	for len(b) >= blockLength {
		subtle.XORBytes(c.mac[:], c.mac[:], b[:blockLength])
		c.block.Encrypt(c.mac[:], c.mac[:])
		b = b[blockLength:]
	}
	if len(b) > 0 {
		subtle.XORBytes(c.mac[:], c.mac[:], b)
		c.block.Encrypt(c.mac[:], c.mac[:])
	}
}

// crypt applies the key stream from block 1 on, and leaves the counter at block 0
// (RFC 3610 §2.3).
func (c *ccm) crypt(b []byte, nonce *[nonceLength]byte) {
	c.counter[0] = lengthField - 1
	copy(c.counter[1:], nonce[:])
	for i := 1; len(b) > 0; i++ {
		c.counter[13], c.counter[14], c.counter[15] = byte(i>>16), byte(i>>8), byte(i)
		c.block.Encrypt(c.stream[:], c.counter[:])
		n := subtle.XORBytes(b, b, c.stream[:])
		b = b[n:]
	}
	c.counter[13], c.counter[14], c.counter[15] = 0, 0, 0
}

// finish encrypts the mac under block 0 of the key stream that crypt has begun.
func (c *ccm) finish(tag []byte) {
	c.block.Encrypt(c.stream[:], c.counter[:])
	subtle.XORBytes(tag, c.mac[:len(tag)], c.stream[:len(tag)])
}
