package cose

import (
	"crypto/rand"
	"fmt"
	"io"
)

// A ContentKey is a key with which one content is encrypted, for recipients who are
// known only later: the ciphertext is the same for all of them, and the key is encrypted
// to each when it asks. It is immutable.
type ContentKey struct {
	alg Algorithm
	key []byte
	iv  []byte
}

// NewContentKey makes a key for content. The zero Algorithm means A128GCM; nil random
// is that of crypto/rand. It returns ErrAlgorithm.
func NewContentKey(alg Algorithm, random io.Reader) (*ContentKey, error) {
	if alg == 0 {
		alg = A128GCM
	}
	size, ok := contents[alg]
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrAlgorithm, alg)
	}
	fresh := make([]byte, size.key+size.iv)
	if _, err := io.ReadFull(orRandom(random), fresh); err != nil {
		return nil, fmt.Errorf("making a content key: %w", err)
	}
	return &ContentKey{alg: alg, key: fresh[:size.key], iv: fresh[size.key:]}, nil
}

func orRandom(random io.Reader) io.Reader {
	if random == nil {
		return rand.Reader
	}
	return random
}

// wireContentKey is what Encode writes.
type wireContentKey struct {
	_         struct{} `cbor:",toarray"`
	Algorithm int64
	Key       []byte
	IV        []byte
}

// Encode returns the key for whoever keeps it: a secret.
func (k *ContentKey) Encode() ([]byte, error) {
	raw, err := deterministic.enc.Marshal(wireContentKey{Algorithm: int64(k.alg), Key: k.key, IV: k.iv})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return raw, nil
}

// ParseContentKey reads what Encode returned. It returns ErrSyntax, ErrAlgorithm or
// ErrKey.
func ParseContentKey(raw []byte) (*ContentKey, error) {
	var wire wireContentKey
	if err := deterministic.dec.Unmarshal(raw, &wire); err != nil {
		return nil, fmt.Errorf("%w: content key", ErrSyntax) // the cause might quote it
	}
	k := &ContentKey{alg: Algorithm(wire.Algorithm), key: wire.Key, iv: wire.IV}
	size, ok := contents[k.alg]
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrAlgorithm, k.alg)
	}
	if len(k.key) != size.key || len(k.iv) != size.iv {
		return nil, fmt.Errorf("%w: content key of %d bytes, IV of %d", ErrKey, len(k.key), len(k.iv))
	}
	return k, nil
}

// Encrypt returns the ciphertext of the one content that the key is for: a second one
// would reveal both.
func (k *ContentKey) Encrypt(plaintext []byte) ([]byte, error) {
	protected, err := k.protected()
	if err != nil {
		return nil, err
	}
	aad, err := encAAD(protected)
	if err != nil {
		return nil, err
	}
	return k.alg.seal(k.key, k.iv, plaintext, aad)
}

// EncryptTo encrypts the key to recipients and returns the tagged COSE_Encrypt message,
// whose ciphertext is nil. Nil random is that of crypto/rand. It returns ErrOptions.
func (k *ContentKey) EncryptTo(random io.Reader, recipients ...*RecipientKey) ([]byte, error) {
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients", ErrOptions, len(recipients))
	}
	protected, err := k.protected()
	if err != nil {
		return nil, err
	}
	wire := wireEncrypt{Protected: protected}
	unprotected := map[int64]any{LabelIV: k.iv}
	if !k.alg.Authenticated() {
		unprotected[LabelAlgorithm] = int64(k.alg) // RFC 9459 §4: nothing would protect it
	}
	if wire.Unprotected, err = deterministic.enc.Marshal(unprotected); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	for _, r := range recipients {
		if r.alg == Direct {
			return nil, fmt.Errorf("%w: recipient of codes only", ErrOptions)
		}
		one, err := r.wrap(orRandom(random), k.key, firmwareContext)
		if err != nil {
			return nil, err
		}
		wire.Recipients = append(wire.Recipients, one)
	}
	return encodeMessage(wire, TagEncrypt, true)
}

// protected is the protected header of the content: the same for all recipients.
func (k *ContentKey) protected() ([]byte, error) {
	if !k.alg.Authenticated() {
		return []byte{}, nil
	}
	return encodeMap(map[int64]any{LabelAlgorithm: int64(k.alg)})
}
