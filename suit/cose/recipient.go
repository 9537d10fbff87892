package cose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// labelEphemeral is the ephemeral key of the sender (RFC 9053 §6.3.1).
const labelEphemeral int64 = -1

// A RecipientKey is a key to which the key of content or of a code is encrypted,
// or by which a recipient decrypts it: a secret shared with a device or a group of
// devices (A128KW, A256KW), the key pair of one device (ECDH-ES+A128KW on P-256),
// or the key of the code itself (MACKey.Direct). It is immutable.
type RecipientKey struct {
	alg     Algorithm
	kid     []byte
	kek     []byte
	public  *ecdh.PublicKey
	private ecdh.KeyExchanger
}

// NewSharedKey returns a key encryption key of 16 bytes (A128KW) or 32 bytes
// (A256KW), or ErrKey. kid may be empty.
func NewSharedKey(kek, kid []byte) (*RecipientKey, error) {
	algs := map[int]Algorithm{16: A128KW, 32: A256KW}
	alg, ok := algs[len(kek)]
	if !ok {
		return nil, fmt.Errorf("%w: key encryption key of %d bytes", ErrKey, len(kek))
	}
	return &RecipientKey{alg: alg, kid: bytes.Clone(kid), kek: bytes.Clone(kek)}, nil
}

// NewPublicKey returns the public key of one device, to which content can be
// encrypted. It must be on P-256, otherwise NewPublicKey returns ErrKey.
func NewPublicKey(key *ecdh.PublicKey, kid []byte) (*RecipientKey, error) {
	if key == nil || key.Curve() != ecdh.P256() {
		return nil, fmt.Errorf("%w: not a P-256 key", ErrKey)
	}
	return &RecipientKey{alg: ECDHESA128KW, kid: bytes.Clone(kid), public: key}, nil
}

// NewPrivateKey returns the key pair of one device; it may live in hardware. It
// must be on P-256, otherwise NewPrivateKey returns ErrKey.
func NewPrivateKey(key ecdh.KeyExchanger, kid []byte) (*RecipientKey, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: no key", ErrKey)
	}
	k, err := NewPublicKey(key.PublicKey(), kid)
	if err != nil {
		return nil, err
	}
	k.private = key
	return k, nil
}

// Algorithm returns how content keys are encrypted to k.
func (k *RecipientKey) Algorithm() Algorithm { return k.alg }

// Shared reports whether only those who share a secret can encrypt to k. To a
// public key anybody can, so that a code made for it proves no origin.
func (k *RecipientKey) Shared() bool { return k.public == nil }

// KeyID returns the key identifier, nil for none.
func (k *RecipientKey) KeyID() []byte { return bytes.Clone(k.kid) }

// wireRecipient is COSE_recipient of §5.1, without recipients of its own.
type wireRecipient struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Key         []byte
}

// ephemeralKey is the COSE_Key of a sender: kty 2 (EC2), crv 1 (P-256), x, y.
type ephemeralKey struct {
	Type  int64           `cbor:"1,keyasint"`
	Curve int64           `cbor:"-1,keyasint"`
	X     []byte          `cbor:"-2,keyasint"`
	Y     cbor.RawMessage `cbor:"-3,keyasint"`
}

// wrap encrypts a key to k. context is what the key is for, if the use says so.
func (k *RecipientKey) wrap(random io.Reader, key, context []byte) (wireRecipient, error) {
	unprotected := map[int64]any{}
	if len(k.kid) > 0 {
		unprotected[LabelKeyID] = k.kid
	}
	protected, kek := []byte{}, k.kek
	if k.public == nil {
		unprotected[LabelAlgorithm] = int64(k.alg)
	} else {
		var err error
		if protected, err = encodeMap(map[int64]any{LabelAlgorithm: int64(k.alg)}); err != nil {
			return wireRecipient{}, err
		}
		var ephemeral ephemeralKey
		if ephemeral, kek, err = k.agree(random, protected, context); err != nil {
			return wireRecipient{}, err
		}
		unprotected[labelEphemeral] = ephemeral
	}
	header, err := deterministic.enc.Marshal(unprotected)
	if err != nil {
		return wireRecipient{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if k.alg == Direct {
		return wireRecipient{Protected: protected, Unprotected: header, Key: []byte{}}, nil
	}
	wrapped, err := wrapKey(kek, key)
	return wireRecipient{Protected: protected, Unprotected: header, Key: wrapped}, err
}

// agree makes an ephemeral key and derives the key that k can derive too.
func (k *RecipientKey) agree(random io.Reader, protected, context []byte) (ephemeralKey, []byte, error) {
	key, err := ecdh.P256().GenerateKey(random)
	if err != nil {
		return ephemeralKey{}, nil, fmt.Errorf("generating an ephemeral key: %w", err)
	}
	secret, err := key.ECDH(k.public)
	if err != nil {
		return ephemeralKey{}, nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	kek, err := derive(secret, protected, context)
	if err != nil {
		return ephemeralKey{}, nil, err
	}
	point := key.PublicKey().Bytes() // 4, x, y
	half := 1 + len(point)/2
	y, err := deterministic.enc.Marshal(point[half:])
	return ephemeralKey{Type: 2, Curve: 1, X: point[1:half], Y: y}, kek, err
}

// kekSize is the length in bytes of the key that A128KW needs.
const kekSize = 16

// firmwareContext is what firmware encryption names as the purpose of keys
// (draft-ietf-suit-firmware-encryption §6.2). It is never changed.
var firmwareContext = []byte("SUIT Payload Encryption")

// derive is HKDF with SHA-256 over the context of RFC 9053 §5.2: parties unnamed,
// the purpose named if there is one.
func derive(secret, protected, purpose []byte) ([]byte, error) {
	party := []any{nil, nil, nil}
	public := []any{8 * kekSize, nonNil(protected)}
	if len(purpose) > 0 {
		public = append(public, purpose)
	}
	context, err := deterministic.enc.Marshal([]any{int64(A128KW), party, party, public})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return hkdf.Key(sha256.New, secret, nil, string(context), kekSize)
}

// A Recipient is for whom a key is encrypted.
type Recipient struct {
	Headers

	// Key is the key of content or code, encrypted.
	Key []byte

	alg Algorithm
}

// Algorithm returns how the key is encrypted.
func (r *Recipient) Algorithm() Algorithm { return r.alg }

// unwrap returns the content key. k must serve the algorithm of r.
func (k *RecipientKey) unwrap(r *Recipient, context []byte) ([]byte, error) {
	switch k.alg {
	case Direct:
		return k.kek, nil
	case ECDHESA128KW:
	default:
		return unwrapKey(k.kek, r.Key)
	}
	sender, err := r.ephemeral()
	if err != nil {
		return nil, err
	}
	secret, err := k.private.ECDH(sender)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	kek, err := derive(secret, r.raw, context)
	if err != nil {
		return nil, err
	}
	return unwrapKey(kek, r.Key)
}

// ephemeral returns the key of the sender, whose y may be compressed (RFC 9053
// §7.1.1). It returns ErrHeader.
func (r *Recipient) ephemeral() (*ecdh.PublicKey, error) {
	var e ephemeralKey
	if err := deterministic.dec.Unmarshal(r.unprotected[labelEphemeral], &e); err != nil {
		return nil, fmt.Errorf("%w: ephemeral key: %w", ErrHeader, err)
	}
	const size = 32
	if e.Type != 2 || e.Curve != 1 || len(e.X) != size {
		return nil, fmt.Errorf("%w: ephemeral key is not on P-256", ErrHeader)
	}
	var y []byte
	var odd bool
	if err := deterministic.dec.Unmarshal(e.Y, &odd); err == nil {
		if y, err = decompress(e.X, odd); err != nil {
			return nil, err
		}
	} else if err := deterministic.dec.Unmarshal(e.Y, &y); err != nil {
		return nil, fmt.Errorf("%w: ephemeral key: %w", ErrHeader, err)
	}
	key, err := ecdh.P256().NewPublicKey(append(append([]byte{4}, e.X...), y...))
	if err != nil {
		return nil, fmt.Errorf("%w: ephemeral key: %w", ErrHeader, err)
	}
	return key, nil
}

// decompress computes y of the point with the given x.
func decompress(x []byte, odd bool) ([]byte, error) {
	sign := byte(2)
	if odd {
		sign = 3
	}
	if _, y := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{sign}, x...)); y != nil {
		return y.FillBytes(make([]byte, len(x))), nil
	}
	return nil, fmt.Errorf("%w: ephemeral key is not on the curve", ErrHeader)
}
