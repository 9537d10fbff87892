package handshake

import (
	"crypto/sha256"
	"encoding/binary"

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

// prfRoom holds what an HMAC of prf is over: a block, a sum, a label and two randoms.
const prfRoom = sha256.BlockSize + sha256.Size + 32 + 2*randomLength

// prf fills out from secret, label and seeds: P_SHA256 (RFC 5246 §5). It keeps HMAC's
// two blocks by itself, for a hash.Hash would be memory of the heap for each secret.
func prf(out, secret []byte, label string, seeds ...[]byte) {
	k := newHMAC(secret)
	var room [prfRoom]byte
	seed := append(room[:sha256.BlockSize+sha256.Size], label...)
	for _, s := range seeds {
		seed = append(seed, s...)
	}
	const seedAt = sha256.BlockSize + sha256.Size
	a := k.sum(append(seed[:sha256.BlockSize:sha256.BlockSize], seed[seedAt:]...)) // A(1)
	for {
		copy(seed[sha256.BlockSize:], a[:])
		block := k.sum(seed)
		n := copy(out, block[:])
		if out = out[n:]; len(out) == 0 {
			clear(seed)
			return
		}
		a = k.sum(seed[:seedAt])
	}
}

// An hmac256 is the two blocks of an HMAC with SHA-256 (RFC 2104 §2).
type hmac256 struct{ inner, outer [sha256.BlockSize]byte }

func newHMAC(key []byte) (k hmac256) {
	if len(key) > sha256.BlockSize {
		short := sha256.Sum256(key)
		key = short[:]
	}
	copy(k.inner[:], key)
	copy(k.outer[:], key)
	const ipad, opad = 0x36, 0x5c
	for i := range k.inner {
		k.inner[i] ^= ipad
		k.outer[i] ^= opad
	}
	return k
}

// sum is the HMAC of what follows a block of room in b.
func (k *hmac256) sum(b []byte) [sha256.Size]byte {
	copy(b, k.inner[:])
	inner := sha256.Sum256(b)
	var last [sha256.BlockSize + sha256.Size]byte
	copy(last[:], k.outer[:])
	copy(last[sha256.BlockSize:], inner[:])
	return sha256.Sum256(last[:])
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
