package cose

import (
	"fmt"
	"io"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// TagEncrypt is the tag of COSE_Encrypt (§2).
const TagEncrypt = 96

// MaxRecipients is the number of recipients of the longest COSE_Encrypt: a group
// has one shared key, not one recipient for each member.
const MaxRecipients = 32

// An Encrypt is a parsed COSE_Encrypt message without its ciphertext, which is
// detached: what SUIT calls the encryption info.
type Encrypt struct {
	Headers

	// Recipients are in the order of the message, at least one.
	Recipients []Recipient

	alg Algorithm
	iv  []byte
}

// wireEncrypt is the array of §5.1.
type wireEncrypt struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Ciphertext  []byte
	Recipients  []wireRecipient
}

// An Encryption says how content is encrypted.
type Encryption struct {
	// Algorithm of the content; zero means A128GCM.
	Algorithm Algorithm
	// Recipients can decrypt it: devices by their public keys, groups by shared
	// ones. At least one.
	Recipients []*RecipientKey
	// Rand is the source of randomness; nil means that of crypto/rand.
	Rand io.Reader
}

// Encrypt encrypts plaintext under a new key and returns the tagged COSE_Encrypt
// message, whose ciphertext is nil, and the ciphertext. It returns ErrOptions or
// ErrAlgorithm.
func (o Encryption) Encrypt(plaintext []byte) (info, ciphertext []byte, err error) {
	k, err := NewContentKey(o.Algorithm, o.Rand)
	if err != nil {
		return nil, nil, err
	}
	if info, err = k.EncryptTo(o.Rand, o.Recipients...); err != nil {
		return nil, nil, err
	}
	ciphertext, err = k.Encrypt(plaintext)
	return info, ciphertext, err
}

// encAAD encodes Enc_structure (§5.3) with an empty external_aad.
func encAAD(protected []byte) ([]byte, error) {
	aad, err := deterministic.enc.Marshal([]any{"Encrypt", nonNil(protected), []byte{}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return aad, nil
}

// ParseEncrypt reads a COSE_Encrypt message with its tag and without ciphertext.
// understood lists the labels that the caller handles, for crit. It returns
// ErrSyntax, ErrHeader, ErrCritical, ErrAlgorithm or ErrPayload.
func ParseEncrypt(raw []byte, understood ...int64) (*Encrypt, error) {
	body, tagged, err := untag(raw, TagEncrypt)
	if err != nil {
		return nil, err
	}
	if !tagged {
		return nil, fmt.Errorf("%w: no tag %d", ErrSyntax, TagEncrypt)
	}
	var wire wireEncrypt
	if err := decodeMessage(body, &wire); err != nil {
		return nil, err
	}
	if wire.Ciphertext != nil {
		return nil, fmt.Errorf("%w: ciphertext is not detached", ErrPayload)
	}
	m := &Encrypt{}
	known := append(slices.Clone(understood), LabelIV)
	if m.Headers, err = parseMaps(wire.Protected, wire.Unprotected, false, known); err != nil {
		return nil, err
	}
	if err := m.content(); err != nil {
		return nil, err
	}
	m.Recipients, err = parseRecipients(wire.Recipients, understood)
	return m, err
}

// content reads the algorithm of the content and its IV. Algorithms that
// authenticate must be protected, those that do not must have nothing protected
// (RFC 9459 §4).
func (m *Encrypt) content() error {
	m.alg = m.anyAlgorithm()
	info, ok := contents[m.alg]
	if !ok {
		return fmt.Errorf("%w: %v", ErrAlgorithm, m.alg)
	}
	_, protected := m.protected[LabelAlgorithm]
	if protected != m.alg.Authenticated() || !protected && len(m.raw) > 0 {
		return fmt.Errorf("%w: %v in the wrong map", ErrHeader, m.alg)
	}
	raw, ok := m.protected[LabelIV]
	if !ok {
		raw = m.unprotected[LabelIV]
	}
	if err := deterministic.dec.Unmarshal(raw, &m.iv); err != nil || len(m.iv) != info.iv {
		return fmt.Errorf("%w: IV of %d bytes", ErrHeader, len(m.iv))
	}
	return nil
}

// anyAlgorithm returns the algorithm, protected or not; zero if there is none.
func (h *Headers) anyAlgorithm() Algorithm {
	raw, ok := h.protected[LabelAlgorithm]
	if !ok {
		raw = h.unprotected[LabelAlgorithm]
	}
	var alg int64
	if err := deterministic.dec.Unmarshal(raw, &alg); err != nil {
		return 0
	}
	return Algorithm(alg)
}

// Algorithm returns the algorithm of the content.
func (m *Encrypt) Algorithm() Algorithm { return m.alg }

// Overhead returns by how many bytes the ciphertext is longer than the plaintext.
func (m *Encrypt) Overhead() int { return contents[m.alg].overhead }

// Decrypt returns the plaintext. It uses the first of keys to which one of the
// recipients fits; key identifiers are hints only. It returns ErrNoRecipient if
// none does, ErrDecrypt if the key or the content was changed. The plaintext of
// an algorithm that is not Authenticated is not proven by this.
func (m *Encrypt) Decrypt(keys []*RecipientKey, ciphertext []byte) ([]byte, error) {
	key, err := openKey(m.Recipients, keys, contents[m.alg].key, firmwareContext)
	if err != nil {
		return nil, err
	}
	aad, err := encAAD(m.raw)
	if err != nil {
		return nil, err
	}
	return m.alg.open(key, m.iv, ciphertext, aad)
}
