package handshake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"steward/lwm2m/dtls"
)

const (
	masterLength   = 48
	verifyLength   = dtls.BindingLength // of verify_data (RFC 5246 §7.4.9)
	labelMaster    = "master secret"
	labelExtended  = "extended master secret" // RFC 7627 §4
	labelKeys      = "key expansion"
	labelClientEnd = "client finished"
	labelServerEnd = "server finished"
)

// prf fills out from secret, label and seeds: P_SHA256 (RFC 5246 §5).
func prf(out, secret []byte, label string, seeds ...[]byte) {
	h := hmac.New(sha256.New, secret)
	var a, block [sha256.Size]byte
	absorb(h, label, seeds)
	h.Sum(a[:0])
	for {
		h.Reset()
		_, _ = h.Write(a[:]) // never fails
		absorb(h, label, seeds)
		n := copy(out, h.Sum(block[:0]))
		if out = out[n:]; len(out) == 0 {
			return
		}
		h.Reset()
		_, _ = h.Write(a[:])
		h.Sum(a[:0])
	}
}

// absorb writes what a hash never refuses.
func absorb(h hash.Hash, label string, seeds [][]byte) {
	_, _ = h.Write([]byte(label))
	for _, s := range seeds {
		_, _ = h.Write(s)
	}
}

// keyBlock makes the keys of both sides (RFC 5246 §6.3).
func keyBlock(master *[masterLength]byte, clientRandom, serverRandom *[randomLength]byte) []byte {
	out := make([]byte, dtls.KeyBlockLength)
	prf(out, master[:], labelKeys, serverRandom[:], clientRandom[:])
	return out
}

// verifyData is what a Finished must say about the messages before it.
func verifyData(master *[masterLength]byte, label string, digest []byte) []byte {
	out := make([]byte, verifyLength)
	prf(out, master[:], label, digest)
	return out
}

// premasterPSK joins another secret and the key (RFC 4279 §2; RFC 5489 §2 with the
// secret of a key exchange instead of zeros).
func premasterPSK(other, key []byte) []byte {
	if other == nil {
		other = make([]byte, len(key))
	}
	out := make([]byte, 0, 4+len(other)+len(key))
	out = binary.BigEndian.AppendUint16(out, uint16(len(other))) //nolint:gosec // G115: a key's length
	out = append(out, other...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(key))) //nolint:gosec // G115: a key's length
	return append(out, key...)
}
