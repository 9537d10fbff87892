package cose

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// TagMac0 is the tag of COSE_Mac0 (§2).
const TagMac0 = 17

// minSecret is the length in bytes of the shortest secret: RFC 9053 §3.1 wants
// the length of the hash.
const minSecret = sha256.Size

// A MACKey is a secret shared by those who make and those who check message
// authentication codes. It is immutable.
type MACKey struct {
	secret []byte
	kid    []byte
}

// NewMACKey returns a key for HMAC 256/256. kid goes into the protected header;
// none is sent if it is empty. It returns ErrKey for fewer than 32 bytes.
func NewMACKey(secret, kid []byte) (*MACKey, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%w: secret of %d bytes", ErrKey, len(secret))
	}
	return &MACKey{secret: bytes.Clone(secret), kid: bytes.Clone(kid)}, nil
}

// KeyID returns the key identifier, nil for none.
func (k *MACKey) KeyID() []byte { return bytes.Clone(k.kid) }

// A Mac0 is a parsed COSE_Mac0 message. Nothing in it is proven before Verify
// has returned without error.
type Mac0 struct {
	Headers

	// Payload is nil if the message is detached.
	Payload []byte
	// Tag is the authentication code as sent.
	Tag []byte
	// Tagged says whether the message carried tag 17.
	Tagged bool
}

// wireMac0 is the array of §6.2.
type wireMac0 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Payload     []byte
	Tag         []byte
}

// SignMac0 returns a COSE_Mac0 message over o.Payload, made with k. It returns
// ErrOptions.
func SignMac0(k *MACKey, o Options) ([]byte, error) {
	protected, err := protect(HMAC256, k.kid, o.Protected)
	if err != nil {
		return nil, err
	}
	tag, err := macTag("MAC0", k.secret, protected, nonNil(o.Payload), o.ExternalAAD)
	if err != nil {
		return nil, err
	}
	wire := wireMac0{Protected: protected, Unprotected: emptyMap(), Payload: nonNil(o.Payload), Tag: tag}
	if o.Detached {
		wire.Payload = nil
	}
	return encodeMessage(wire, TagMac0, o.Tagged)
}

// ParseMac0 reads a COSE_Mac0 message, tagged or not. understood lists the labels
// that the caller handles, for crit. It returns ErrSyntax, ErrHeader, ErrCritical
// or ErrAlgorithm.
func ParseMac0(raw []byte, understood ...int64) (*Mac0, error) {
	body, tagged, err := untag(raw, TagMac0)
	if err != nil {
		return nil, err
	}
	var wire wireMac0
	if err := decodeMessage(body, &wire); err != nil {
		return nil, err
	}
	headers, err := parseHeaders(wire.Protected, wire.Unprotected, understood)
	if err != nil {
		return nil, err
	}
	if err := needHMAC(headers); err != nil {
		return nil, err
	}
	return &Mac0{Headers: headers, Payload: wire.Payload, Tag: wire.Tag, Tagged: tagged}, nil
}

// Verify checks the code in constant time and returns the payload, as
// Sign1.Verify does. It returns ErrPayload or ErrSignature; a code that was cut
// is wrong.
func (m *Mac0) Verify(k *MACKey, detached, externalAAD []byte) ([]byte, error) {
	payload, err := pickPayload(m.Payload, detached)
	if err != nil {
		return nil, err
	}
	want, err := macTag("MAC0", k.secret, m.raw, payload, externalAAD)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(want, m.Tag) {
		return nil, fmt.Errorf("%w: authentication code", ErrSignature)
	}
	return payload, nil
}
