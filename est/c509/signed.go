package c509

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Groups of signature algorithms whose values have a form of their own.
const (
	unsigned     = 5
	firstDH      = 14 // ECDH proofs of possession (RFC 6955)
	lastDH       = 16
	ecdsaSHA1    = -255
	ecdsaLast    = 4 // with SHAKE256
	signatureSM2 = 8
)

func isECDSA(code int64) bool {
	return code == ecdsaSHA1 || code >= 0 && code <= ecdsaLast || code == signatureSM2
}

// signed is the end of every structure: who signs what how.
type signed struct {
	message   []byte // what is signed: TBSCertificate in DER, or a CBOR sequence
	tbs       []byte // in DER
	algorithm []byte // AlgorithmIdentifier
	spki      []byte // SubjectPublicKeyInfo
	signature []byte // as X.509 has it, without unused bits
}

// sign reads the signature's item, and keeps the rest.
func (s *signed) sign(c codec, tbs, alg, spki []byte, it item) error {
	*s = signed{message: tbs, tbs: tbs, algorithm: alg, spki: spki}
	code, known := signatures.code(alg)
	var err error
	switch {
	case known && isECDSA(code):
		s.signature, err = ecdsaSignatureDER(it)
	case known && code >= firstDH && code <= lastDH:
		s.signature, err = c.possessionDER(it)
	case !it.is(majorBytes), known && code == unsigned && len(it.bytes) > 0:
		err = fmt.Errorf("%w: signature", ErrForm)
	default:
		s.signature = it.bytes
	}
	return err
}

func (s *signed) rebuild() []byte {
	return tlv(asn1.SEQUENCE, s.tbs, s.algorithm, tlv(asn1.BIT_STRING, []byte{0}, s.signature))
}

// An x509Signed is the outermost SEQUENCE of a certificate or request in DER.
type x509Signed struct {
	content   cryptobyte.String // of what is signed
	algorithm []byte
	signature []byte
	size      int // of the coordinates of the subject's curve; zero if it has none
}

func splitSigned(der []byte) (x509Signed, error) {
	if len(der) > MaxSize {
		return x509Signed{}, fmt.Errorf("%w: %d bytes", ErrSize, len(der))
	}
	s, ok := only(der, asn1.SEQUENCE)
	var out x509Signed
	var alg, bits cryptobyte.String
	if !ok || !s.ReadASN1(&out.content, asn1.SEQUENCE) || !s.ReadASN1Element(&alg, asn1.SEQUENCE) ||
		!s.ReadASN1(&bits, asn1.BIT_STRING) || !s.Empty() {
		return out, fmt.Errorf("%w: not something signed", ErrDER)
	}
	out.algorithm = alg
	if out.signature, ok = bitString(bits); !ok {
		return out, fmt.Errorf("%w: unused bits in the signature", ErrNoForm)
	}
	return out, nil
}

// signatureItem encodes a signature.
func (c codec) signatureItem(s x509Signed) ([]byte, bool) {
	code, known := signatures.code(s.algorithm)
	switch {
	case known && isECDSA(code):
		out, ok := ecdsaSignature(s.signature, s.size)
		return appendBytes(nil, out), ok
	case known && code >= firstDH && code <= lastDH:
		return c.possession(s.signature)
	case known && code == unsigned && len(s.signature) > 0:
		return nil, false
	}
	return appendBytes(nil, s.signature), true
}
