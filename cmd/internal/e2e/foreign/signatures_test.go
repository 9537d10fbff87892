package foreign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// A signer is a P-256 key with its certificate.
type signer struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// kid is the key identifier of a certificate, or of a hash that stands for it.
func kid(hash []byte) []byte { return hash[:8] }

// raw returns R and S of a signature over input, 32 bytes each.
func (s signer) raw(input []byte) []byte {
	digest := sha256.Sum256(input)
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		panic(err) // the random source never fails
	}
	return append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
}

func verify(c *x509.Certificate, input, signature []byte) error {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || len(signature) != 64 {
		return refused("no signature by a P-256 key")
	}
	digest := sha256.Sum256(input)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return refused("signature of %q does not verify", c.Subject.CommonName)
	}
	return nil
}

type (
	sign1 struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[any]any
		Payload     []byte
		Signature   []byte
	}
	sign struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[any]any
		Payload     []byte
		Signatures  []signature
	}
	signature struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[any]any
		Signature   []byte
	}
)

// The tags of COSE_Sign1 and COSE_Sign.
const (
	tagSign1 = 18
	tagSign  = 98
)

// untag removes a tag, if it is there.
func untag(raw []byte, number uint64) []byte {
	var tag cbor.RawTag
	if cbor.Unmarshal(raw, &tag) == nil && tag.Number == number {
		return tag.Content
	}
	return raw
}

// signDocument returns a document as an untagged COSE_Sign1, and its hash.
func (s signer) signDocument(kind string, document any) (raw, hash []byte) {
	payload := encode(document)
	protected := encode(map[int]any{1: -7, 4: kid(hashOf(s.certificate.Raw))})
	return encode(sign1{
		Protected: protected, Unprotected: map[any]any{}, Payload: payload,
		Signature: s.raw(encode([]any{"Signature1", protected, []byte(kind), payload})),
	}), hashOf(protected, payload)
}

// tagged returns a COSE message with its tag.
func tagged(number uint64, raw []byte) []byte {
	return encode(cbor.RawTag{Number: number, Content: raw})
}

// header is what a signature's protected header says.
type header struct {
	Alg int64  `cbor:"1,keyasint"`
	Kid []byte `cbor:"4,keyasint"`
}

func readHeader(protected, kid []byte) error {
	var h header
	if err := decode(protected, &h); err != nil {
		return err
	}
	if (h.Alg != -7 && h.Alg != -9) || !bytes.Equal(h.Kid, kid) {
		return refused("algorithm %d, signer %x instead of %x", h.Alg, h.Kid, kid)
	}
	return nil
}

// openDocument verifies a COSE_Sign1 by a certificate, reads its document and
// returns its hash.
func openDocument(raw []byte, kind string, by *x509.Certificate, document any) (hash []byte, err error) {
	var s sign1
	if err := decode(untag(raw, tagSign1), &s); err != nil {
		return nil, err
	}
	if err := readHeader(s.Protected, kid(hashOf(by.Raw))); err != nil {
		return nil, err
	}
	if err := verify(by, encode([]any{"Signature1", s.Protected, []byte(kind), s.Payload}), s.Signature); err != nil {
		return nil, err
	}
	return hashOf(s.Protected, s.Payload), decode(s.Payload, document)
}

// openReceipt verifies the signature by the factory key and, unless operational is
// nil, that by the operational one.
func openReceipt(raw []byte, factory, operational *x509.Certificate) (*receipt, error) {
	var s sign
	if err := decode(untag(raw, tagSign), &s); err != nil {
		return nil, err
	}
	if len(s.Signatures) != 2 {
		return nil, refused("%d signatures", len(s.Signatures))
	}
	for i, by := range []*x509.Certificate{factory, operational} {
		if by == nil {
			continue
		}
		one := s.Signatures[i]
		if err := readHeader(one.Protected, kid(hashOf(by.Raw))); err != nil {
			return nil, err
		}
		input := encode([]any{"Signature", s.Protected, one.Protected, []byte("steward/receipt/1"), s.Payload})
		if err := verify(by, input, one.Signature); err != nil {
			return nil, err
		}
	}
	r := &receipt{hash: hashOf(s.Protected, s.Payload)}
	if err := decode(s.Payload, r); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.Terms.Factory, hashOf(factory.Raw)) ||
		operational != nil && !bytes.Equal(r.Terms.Operational, hashOf(operational.Raw)) {
		return nil, refused("receipt of another device or certificate")
	}
	return r, nil
}

// infoHeader is the protected header of a DeviceUpdateInfo as JWS.
type infoHeader struct {
	Alg     string   `json:"alg"`
	X5C     [][]byte `json:"x5c"`
	Cty     string   `json:"cty"`
	Typ     string   `json:"typ"`
	Iss     string   `json:"iss"`
	Aud     string   `json:"aud"`
	Iat     uint64   `json:"iat"`
	Jti     string   `json:"jti"`
	Mandate string   `json:"mandate"`
	Ver     int      `json:"ver"`
	Crit    []string `json:"crit"`
}

// openInfo verifies a DeviceUpdateInfo, and returns its hash.
func openInfo(jws string, by *x509.Certificate) (h infoHeader, devices []devicePair, hash []byte, err error) {
	input, sig, _ := cutLast(jws)
	head, body, ok := strings.Cut(input, ".")
	protected, err1 := base64.RawURLEncoding.DecodeString(head)
	payload, err2 := base64.RawURLEncoding.DecodeString(body)
	raw, err3 := base64.RawURLEncoding.DecodeString(sig)
	if !ok || err1 != nil || err2 != nil || err3 != nil {
		return h, nil, nil, refused("no JWS")
	}
	if err := json.Unmarshal(protected, &h); err != nil {
		return h, nil, nil, err
	}
	if h.Alg != "ES256" || h.Typ != "steward/info/1" || h.Ver != 1 || len(h.X5C) == 0 || !bytes.Equal(h.X5C[0], by.Raw) {
		return h, nil, nil, refused("JWS header %s", protected)
	}
	if err := verify(by, []byte(input), raw); err != nil {
		return h, nil, nil, err
	}
	return h, devices, hashOf(protected, payload), decode(payload, &devices)
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// signInfo returns a DeviceUpdateInfo as JWS.
func (s signer) signInfo(h infoHeader, devices []devicePair) (jws string, hash []byte) {
	h.Alg, h.Typ, h.Cty, h.Ver = "ES256", "steward/info/1", "cbor", 1
	h.X5C, h.Crit = [][]byte{s.certificate.Raw}, []string{"aud", "iat", "iss", "jti", "mandate", "ver"}
	protected, err := json.Marshal(h)
	if err != nil {
		panic(err)
	}
	payload := encode(devices)
	input := base64.RawURLEncoding.EncodeToString(protected) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(s.raw([]byte(input))), hashOf(protected, payload)
}
