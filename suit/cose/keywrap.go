package cose

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// wrapBlock is the length in bytes of the blocks that key wrap works on.
const wrapBlock = 8

// wrapIV is the initial value that proves integrity (RFC 3394 §2.2.3.1).
const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrapKey encrypts key with AES key wrap (RFC 3394 §2.2.1).
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := wrapCipher(kek, len(key), 2)
	if err != nil {
		return nil, err
	}
	out := make([]byte, wrapBlock+len(key))
	copy(out[wrapBlock:], key)
	n := uint64(len(key) / wrapBlock)
	a := uint64(wrapIV)
	var b [2 * wrapBlock]byte
	for j := range uint64(6) {
		for i := uint64(1); i <= n; i++ {
			r := out[i*wrapBlock : (i+1)*wrapBlock]
			binary.BigEndian.PutUint64(b[:], a)
			copy(b[wrapBlock:], r)
			block.Encrypt(b[:], b[:])
			a = binary.BigEndian.Uint64(b[:]) ^ (n*j + i)
			copy(r, b[wrapBlock:])
		}
	}
	binary.BigEndian.PutUint64(out, a)
	return out, nil
}

// unwrapKey decrypts what wrapKey returned (RFC 3394 §2.2.2), or returns
// ErrDecrypt.
func unwrapKey(kek, wrapped []byte) ([]byte, error) {
	block, err := wrapCipher(kek, len(wrapped), 3)
	if err != nil {
		return nil, err
	}
	key := append([]byte(nil), wrapped[wrapBlock:]...)
	n := uint64(len(key) / wrapBlock)
	a := binary.BigEndian.Uint64(wrapped)
	var b [2 * wrapBlock]byte
	for j := uint64(6); j > 0; j-- {
		for i := n; i > 0; i-- {
			r := key[(i-1)*wrapBlock : i*wrapBlock]
			binary.BigEndian.PutUint64(b[:], a^(n*(j-1)+i))
			copy(b[wrapBlock:], r)
			block.Decrypt(b[:], b[:])
			a = binary.BigEndian.Uint64(b[:])
			copy(r, b[wrapBlock:])
		}
	}
	var got, want [wrapBlock]byte
	binary.BigEndian.PutUint64(got[:], a)
	binary.BigEndian.PutUint64(want[:], wrapIV)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return nil, fmt.Errorf("%w: wrapped key", ErrDecrypt)
	}
	return key, nil
}

// wrapCipher checks the length of the data, of at least so many blocks.
func wrapCipher(kek []byte, length, blocks int) (cipher.Block, error) {
	if length%wrapBlock != 0 || length < blocks*wrapBlock {
		return nil, fmt.Errorf("%w: wrapped key of %d bytes", ErrDecrypt, length)
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return block, nil
}
