package dtls

import "crypto/cipher"

// NewTestSessions makes the two ends of an association with fixed keys, suite 1
// to 3, next being the first sequence number of a.
func NewTestSessions(kind uint8, next uint64, withCID bool) (a, b *Session) {
	a, b = &Session{protection: Protection(kind), next: next}, &Session{protection: Protection(kind)}
	for i := range a.writeKey {
		a.writeKey[i], b.readKey[i] = byte(i), byte(i)
	}
	if withCID {
		b.hasCID, a.peerCIDLength = true, CIDLength
		copy(a.peerCID[:], b.localCID[:])
	}
	return a, b
}

// SealCCM encrypts message under key and appends the tag of the given length.
func SealCCM(block cipher.Block, tag int, nonce [nonceLength]byte, message, extra []byte) []byte {
	out := append(append([]byte{}, message...), make([]byte, tag)...)
	c := ccm{block: block}
	c.seal(out[len(message):], out[:len(message)], extra, &nonce)
	return out
}

// OpenCCM is the reverse of SealCCM; it returns what it leaves of a message that
// is not authentic too.
func OpenCCM(block cipher.Block, tag int, nonce [nonceLength]byte, sealed, extra []byte) ([]byte, bool) {
	out := append([]byte{}, sealed...)
	n := len(out) - tag
	c := ccm{block: block}
	ok := c.open(out[n:], out[:n], extra, &nonce)
	return out[:n], ok
}
