package dtls

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"sync"
)

// keySlots is how many expanded keys a protector keeps, two of each peer that is
// talking. Each takes about half a kilobyte.
const keySlots = 2048

// An expanded is a key with its schedule.
type expanded struct {
	key        [keyLength]byte
	protection Protection
	block      cipher.Block
	gcm        cipher.AEAD // of GCM
}

// A protector seals and opens records and remembers the keys it expanded last, so
// that a peer that talks costs no allocation and a quiet one no schedule. It is
// not safe for concurrent use.
type protector struct {
	ccm   ccm
	nonce [nonceLength]byte
	extra [64]byte
	keys  [keySlots]*expanded
}

// protectors are reused, and with them what they remember; the collector drops
// those that nobody needs.
var protectors = sync.Pool{New: func() any { return new(protector) }}

// expand returns the schedule of key, which is as good as random: its first bytes
// choose its slot.
func (p *protector) expand(s Protection, key *[keyLength]byte) (*expanded, error) {
	slot := &p.keys[binary.LittleEndian.Uint16(key[:])%keySlots]
	if k := *slot; k != nil && k.key == *key && k.protection == s {
		return k, nil
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("dtls: %w", err)
	}
	k := &expanded{key: *key, protection: s, block: block}
	if s == GCM {
		if k.gcm, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("dtls: %w", err)
		}
	}
	*slot = k
	return k, nil
}

// setNonce makes the nonce of the implicit and the explicit part (RFC 6655 §3,
// RFC 5288 §3).
func (p *protector) setNonce(implicit *[ivLength]byte, explicit []byte) {
	copy(p.nonce[:], implicit[:])
	copy(p.nonce[ivLength:], explicit[:explicitLength])
}

// seal encrypts body in place and appends the tag. extra is additional data in
// p.extra.
func (p *protector) seal(s Protection, key *[keyLength]byte, out []byte, body int, extra []byte) ([]byte, error) {
	k, err := p.expand(s, key)
	if err != nil {
		return nil, err
	}
	if s == GCM {
		return k.gcm.Seal(out[:body], p.nonce[:], out[body:], extra), nil
	}
	end := len(out)
	out = out[:end+s.tag()]
	p.ccm.block = k.block
	p.ccm.seal(out[end:], out[body:end], extra, &p.nonce)
	return out, nil
}

// open appends what sealed holds to dst. It returns ErrForged.
func (p *protector) open(s Protection, key *[keyLength]byte, dst, sealed, extra []byte) ([]byte, error) {
	k, err := p.expand(s, key)
	if err != nil {
		return nil, err
	}
	if s == GCM {
		out, err := k.gcm.Open(dst, p.nonce[:], sealed, extra)
		if err != nil {
			return nil, ErrForged
		}
		return out, nil
	}
	length := len(sealed) - s.tag()
	out := dst
	out = append(out, sealed[:length]...)
	p.ccm.block = k.block
	if !p.ccm.open(sealed[length:], out[len(dst):], extra, &p.nonce) {
		return nil, ErrForged
	}
	return out, nil
}
