package c509

import (
	"bytes"
	"crypto/elliptic"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Key algorithms whose keys have a form of their own (§3.2.1).
const keyRSA = 0

// curves gives the coordinate's size in bytes of the curves of id-ecPublicKey, and
// the curve itself where points can be decompressed.
var curves = map[int64]struct {
	size  int
	curve elliptic.Curve
}{
	1:  {32, elliptic.P256()},
	2:  {48, elliptic.P384()},
	3:  {66, elliptic.P521()},
	6:  {32, nil}, // sm2p256v1
	24: {32, nil}, // brainpool
	25: {48, nil},
	26: {64, nil},
	27: {32, nil}, // FRP256v1
}

// First octets of a point (SEC 1 §2.3.3, and §3.2.1 of the draft).
const (
	pointEven       = 0x02
	pointOdd        = 0x03
	pointPlain      = 0x04
	wasPlainAndOdd  = 0xfd
	wasPlainAndEven = 0xfe
)

// rsaExponent is 65537, which goes without saying.
var rsaExponent = []byte{1, 0, 1}

// key encodes the content of a subjectPublicKey.
func (c codec) key(alg int64, known bool, content []byte) ([]byte, bool) {
	curve, isEC := curves[alg]
	switch {
	case known && alg == keyRSA:
		return rsaKey(content)
	case known && isEC && !c.uncompressed && curve.curve != nil && len(content) == 1+2*curve.size:
		short := append([]byte{wasPlainAndEven - content[2*curve.size]&1}, content[1:1+curve.size]...)
		if c.native {
			short[0] = pointEven + content[2*curve.size]&1
		}
		if back, err := plainPoint(short, alg); err == nil && bytes.Equal(back, content) {
			return appendBytes(nil, short), true
		}
	}
	return appendBytes(nil, content), true
}

func rsaKey(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	modulus, ok1 := readInteger(&s)
	exponent, ok2 := readInteger(&s)
	if !ok1 || !ok2 || !s.Empty() {
		return nil, false
	}
	if bytes.Equal(exponent, rsaExponent) {
		return appendBytes(nil, modulus), true
	}
	return array(appendBytes(nil, modulus), appendBytes(nil, exponent)), true
}

// keyDER is the opposite of key.
func (c codec) keyDER(alg int64, known bool, it item) ([]byte, error) {
	if known && alg == keyRSA {
		return rsaKeyDER(it)
	}
	if !it.is(majorBytes) {
		return nil, fmt.Errorf("%w: public key", ErrForm)
	}
	if _, isEC := curves[alg]; !known || !isEC {
		return it.bytes, nil
	}
	return c.ecPoint(alg, it.bytes)
}

func rsaKeyDER(it item) ([]byte, error) {
	modulus, exponent := it, item{major: majorBytes, bytes: rsaExponent}
	if it.is(majorArray) && len(it.items) == 2 {
		modulus, exponent = it.items[0], it.items[1]
		if bytes.Equal(exponent.bytes, rsaExponent) {
			return nil, fmt.Errorf("%w: exponent 65537 in an array", ErrForm)
		}
	}
	n, err := serialDER(modulus)
	if err != nil {
		return nil, err
	}
	e, err := serialDER(exponent)
	return tlv(asn1.SEQUENCE, n, e), err
}

// ecPoint returns a point as X.509 has it: what the markers say was not compressed
// is decompressed, and natively what can be, since no signature covers it.
func (c codec) ecPoint(alg int64, b []byte) ([]byte, error) {
	size := curves[alg].size
	switch {
	case len(b) == 1+2*size && b[0] == pointPlain:
		return b, nil
	case len(b) == 1+size && (b[0] == pointEven || b[0] == pointOdd):
		if c.native && curves[alg].curve != nil {
			return plainPoint(b, alg)
		}
		return b, nil
	case len(b) == 1+size && (b[0] == wasPlainAndEven || b[0] == wasPlainAndOdd):
		return plainPoint(b, alg)
	}
	return nil, fmt.Errorf("%w: point", ErrForm)
}

// plainPoint decompresses a point with either kind of marker.
func plainPoint(b []byte, alg int64) ([]byte, error) {
	curve := curves[alg].curve
	if curve == nil {
		return nil, fmt.Errorf("%w: key algorithm %d", ErrPoint, alg)
	}
	short := bytes.Clone(b)
	if short[0] >= wasPlainAndOdd {
		short[0] = pointEven + (wasPlainAndEven - short[0])
	}
	x, y := elliptic.UnmarshalCompressed(curve, short)
	if x == nil {
		return nil, fmt.Errorf("%w: x is of no point", ErrPoint)
	}
	size := curves[alg].size
	out := make([]byte, 1+2*size)
	out[0] = pointPlain
	x.FillBytes(out[1 : 1+size])
	y.FillBytes(out[1+size:])
	return out, nil
}

// ecdsaSizes are the lengths of r and s: those of the curves' orders.
var ecdsaSizes = []int{32, 48, 64, 66}

// ecdsaSignature writes r and s side by side (RFC 9053 §2.1). The curve is the
// signer's, who need not be in the structure: the shortest that fits is taken, not
// below that of the subject's own key if that is of 64 bytes.
func ecdsaSignature(der []byte, own int) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	r, ok1 := readInteger(&s)
	v, ok2 := readInteger(&s)
	if !ok1 || !ok2 || !s.Empty() {
		return nil, false
	}
	for _, size := range ecdsaSizes {
		if n := max(len(r), len(v)); n > size || size == 64 && own != 64 {
			continue
		}
		out := make([]byte, 2*size)
		copy(out[size-len(r):], r)
		copy(out[2*size-len(v):], v)
		return out, true
	}
	return nil, false
}

func ecdsaSignatureDER(it item) ([]byte, error) {
	size := len(it.bytes) / 2
	for _, known := range ecdsaSizes {
		if it.is(majorBytes) && len(it.bytes) == 2*known {
			return tlv(asn1.SEQUENCE, integer(it.bytes[:size]), integer(it.bytes[size:])), nil
		}
	}
	return nil, fmt.Errorf("%w: ECDSA signature", ErrForm)
}

// possession is DhSigStatic of RFC 6955: a MAC, or who the verifier is and a MAC (§4.2).
func (c codec) possession(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var who, mac cryptobyte.String
	var named bool
	if !ok || !s.ReadOptionalASN1(&who, &named, asn1.SEQUENCE) || !s.ReadASN1(&mac, asn1.OCTET_STRING) || !s.Empty() {
		return nil, false
	}
	if !named {
		return appendBytes(nil, mac), true
	}
	issuer, serial, ok := c.issuerAndSerial(who)
	return array(issuer, serial, appendBytes(nil, mac)), ok
}

// issuerAndSerial encodes the two fields of an IssuerAndSerialNumber.
func (c codec) issuerAndSerial(s cryptobyte.String) (issuer, serial []byte, ok bool) {
	var name cryptobyte.String
	if !s.ReadASN1Element(&name, asn1.SEQUENCE) {
		return nil, nil, false
	}
	number, unsigned := readInteger(&s)
	issuer, named := c.name(name)
	return issuer, appendBytes(nil, number), unsigned && named && s.Empty()
}

func (c codec) issuerAndSerialDER(name, number item) ([]byte, error) {
	issuer, err := c.nameDER(name)
	if err != nil {
		return nil, err
	}
	serial, err := serialDER(number)
	return tlv(asn1.SEQUENCE, issuer, serial), err
}

func (c codec) possessionDER(it item) ([]byte, error) {
	mac, who := it, []byte(nil)
	if it.is(majorArray) && len(it.items) == 3 {
		var err error
		if who, err = c.issuerAndSerialDER(it.items[0], it.items[1]); err != nil {
			return nil, err
		}
		mac = it.items[2]
	}
	if !mac.is(majorBytes) {
		return nil, fmt.Errorf("%w: proof of possession", ErrForm)
	}
	return tlv(asn1.SEQUENCE, who, tlv(asn1.OCTET_STRING, mac.bytes)), nil
}
