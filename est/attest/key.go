package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// The parameters of a COSE_Key on P-256 (RFC 9053 §7.1).
const (
	keyTypeEC2 = 2
	curveP256  = 1
	coordinate = 32 // bytes
	pointEven  = 0x04
)

// coseKey is a public COSE_Key with an uncompressed point (RFC 9052 §7).
type coseKey struct {
	Type  uint64 `cbor:"1,keyasint"`
	Curve uint64 `cbor:"-1,keyasint"`
	X     []byte `cbor:"-2,keyasint"`
	Y     []byte `cbor:"-3,keyasint"`
}

func coseKeyOf(key *ecdsa.PublicKey) (coseKey, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return coseKey{}, fmt.Errorf("attest: not on P-256: %w", ErrKey)
	}
	point, err := key.Bytes()
	if err != nil {
		return coseKey{}, fmt.Errorf("attest: %w: %w", ErrKey, err)
	}
	return coseKey{Type: keyTypeEC2, Curve: curveP256, X: point[1 : 1+coordinate], Y: point[1+coordinate:]}, nil
}

func (k coseKey) public() (*ecdsa.PublicKey, error) {
	if k.Type != keyTypeEC2 || k.Curve != curveP256 || len(k.X) != coordinate || len(k.Y) != coordinate {
		return nil, fmt.Errorf("attest: COSE_Key: %w", ErrKey)
	}
	point := append(append([]byte{pointEven}, k.X...), k.Y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("attest: COSE_Key: %w: %w", ErrKey, err)
	}
	return key, nil
}

// EncodeKey returns key as a COSE_Key (RFC 9053 §7.1). It returns ErrKey for
// another curve than P-256.
func EncodeKey(key *ecdsa.PublicKey) ([]byte, error) {
	k, err := coseKeyOf(key)
	if err != nil {
		return nil, err
	}
	return encode(k)
}

// DecodeKey reads a COSE_Key on P-256. It returns ErrSyntax or ErrKey.
func DecodeKey(raw []byte) (*ecdsa.PublicKey, error) {
	var k coseKey
	if err := decode(raw, &k); err != nil {
		return nil, err
	}
	return k.public()
}

// SPKI returns the SHA-256 of key's SubjectPublicKeyInfo: the name by which rights
// and receipts call it. It returns ErrKey.
func SPKI(key *ecdsa.PublicKey) (Hash, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return Hash{}, fmt.Errorf("attest: %w: %w", ErrKey, err)
	}
	return sha256.Sum256(der), nil
}
