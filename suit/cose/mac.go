package cose

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// TagMac is the tag of COSE_Mac (§2).
const TagMac = 97

// Direct returns k as a recipient with whom the key of the code is shared
// directly (RFC 9053 §6.1.1). It is then the only one.
func (k *MACKey) Direct() *RecipientKey {
	return &RecipientKey{alg: Direct, kid: k.KeyID(), kek: k.secret}
}

// A Mac is a parsed COSE_Mac message: a code whose key is encrypted to
// recipients, or shared with one. Nothing in it is proven before Verify has
// returned without error. A key that anybody can encrypt to a public key proves
// no origin: see RecipientKey.Shared.
type Mac struct {
	Headers

	// Payload is nil if the message is detached.
	Payload []byte
	// Tag is the authentication code as sent.
	Tag []byte
	// Recipients are in the order of the message, at least one.
	Recipients []Recipient
	// Tagged says whether the message carried tag 97.
	Tagged bool
}

// wireMac is the array of §6.1.
type wireMac struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected cbor.RawMessage
	Payload     []byte
	Tag         []byte
	Recipients  []wireRecipient
}

// SignMac returns a COSE_Mac message over o.Payload, made with HMAC 256/256 under
// a new key for each of recipients, or the key shared with the only one. It
// returns ErrOptions.
func SignMac(recipients []*RecipientKey, o Options) ([]byte, error) {
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients", ErrOptions, len(recipients))
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	protected, err := protect(HMAC256, nil, o.Protected)
	if err != nil {
		return nil, err
	}
	wire := wireMac{Protected: protected, Unprotected: emptyMap(), Payload: nonNil(o.Payload)}
	key, err := macKey(recipients, o.Rand)
	if err != nil {
		return nil, err
	}
	for _, r := range recipients {
		one, err := r.wrap(o.Rand, key, nil)
		if err != nil {
			return nil, err
		}
		wire.Recipients = append(wire.Recipients, one)
	}
	if wire.Tag, err = macTag("MAC", key, protected, nonNil(o.Payload), o.ExternalAAD); err != nil {
		return nil, err
	}
	if o.Detached {
		wire.Payload = nil
	}
	return encodeMessage(wire, TagMac, o.Tagged)
}

// macKey returns the key of a code to recipients.
func macKey(recipients []*RecipientKey, random io.Reader) ([]byte, error) {
	for _, r := range recipients {
		if r.alg != Direct {
			continue
		}
		if len(recipients) > 1 {
			return nil, fmt.Errorf("%w: a key shared directly is for one recipient", ErrOptions)
		}
		return r.kek, nil
	}
	key := make([]byte, minSecret)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

// macTag computes the code of MAC_structure (§6.3).
func macTag(context string, key, protected, payload, externalAAD []byte) ([]byte, error) {
	structure, err := deterministic.enc.Marshal([]any{
		context, nonNil(protected), nonNil(externalAAD), nonNil(payload),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	h := hmac.New(sha256.New, key)
	h.Write(structure)
	return h.Sum(nil), nil
}

// ParseMac reads a COSE_Mac message, tagged or not. understood lists the labels
// that the caller handles, for crit. It returns ErrSyntax, ErrHeader, ErrCritical
// or ErrAlgorithm.
func ParseMac(raw []byte, understood ...int64) (*Mac, error) {
	body, tagged, err := untag(raw, TagMac)
	if err != nil {
		return nil, err
	}
	var wire wireMac
	if err := decodeMessage(body, &wire); err != nil {
		return nil, err
	}
	m := &Mac{Payload: wire.Payload, Tag: wire.Tag, Tagged: tagged}
	if m.Headers, err = parseHeaders(wire.Protected, wire.Unprotected, understood); err != nil {
		return nil, err
	}
	if err := needHMAC(m.Headers); err != nil {
		return nil, err
	}
	if m.Recipients, err = parseRecipients(wire.Recipients, understood); err != nil {
		return nil, err
	}
	for i := range m.Recipients {
		if err := m.Recipients[i].checkDirect(len(m.Recipients)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// needHMAC refuses all algorithms but one.
func needHMAC(h Headers) error {
	switch alg := h.Algorithm(); alg {
	case HMAC256:
		return nil
	case 0:
		return fmt.Errorf("%w: no algorithm", ErrHeader)
	default:
		return fmt.Errorf("%w: %v", ErrAlgorithm, alg)
	}
}

// checkDirect applies RFC 9053 §6.1.1: no protected header, no encrypted key, no
// other recipient.
func (r *Recipient) checkDirect(recipients int) error {
	if r.alg == Direct && (len(r.raw) > 0 || len(r.Key) > 0 || recipients > 1) {
		return fmt.Errorf("%w: a key shared directly", ErrHeader)
	}
	return nil
}

// Verify checks the code in constant time, with the first of keys to which one of
// the recipients fits, and returns the payload, as Sign1.Verify does. It returns
// ErrPayload, ErrNoRecipient, ErrDecrypt or ErrSignature.
func (m *Mac) Verify(keys []*RecipientKey, detached, externalAAD []byte) ([]byte, error) {
	payload, err := pickPayload(m.Payload, detached)
	if err != nil {
		return nil, err
	}
	key, err := openKey(m.Recipients, keys, minSecret, nil)
	if err != nil {
		return nil, err
	}
	want, err := macTag("MAC", key, m.raw, payload, externalAAD)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(want, m.Tag) {
		return nil, fmt.Errorf("%w: authentication code", ErrSignature)
	}
	return payload, nil
}
