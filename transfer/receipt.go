package transfer

import (
	"crypto/x509"
	"errors"
	"fmt"

	"steward/suit/cose"
)

// ErrChain reports a receipt that does not follow the one before it.
var ErrChain = errors.New("receipt does not continue the chain")

// A Receipt is the device's signed account of its state (§4). It is signed twice:
// by the factory key, and by the operational key in force. Where there is none
// (after the wipe, until a new one is enrolled) the key of label 26 signs, with
// the hash of its SubjectPublicKeyInfo in place of that of a certificate.
//
// Receipts form a chain: READY begins it, COMMITTED and DONE and FALLBACK follow
// READY, FINALISED follows DONE, FELL_BACK follows FALLBACK. COMMITTED hangs
// aside because its only reader may never have seen it.
type Receipt struct {
	Subject      string `cbor:"2,keyasint"`
	ID           []byte `cbor:"7,keyasint"` // the message's
	ReceiptTerms `cbor:"-65537,keyasint"`
}

// ReceiptTerms are what the device states.
type ReceiptTerms struct {
	Epoch       uint64      `cbor:"6,keyasint"`
	State       DeviceState `cbor:"20,keyasint"`
	Message     Hash        `cbor:"22,keyasint"` // the TransferMessage as signed
	Destination Hash        `cbor:"23,keyasint"` // its Destination's bytes
	Boots       uint64      `cbor:"24,keyasint"`
	Powered     uint64      `cbor:"25,keyasint"` // seconds in this state
	SPKI        Hash        `cbor:"26,keyasint"` // of the key to be or being enrolled
	Truststore  Hash        `cbor:"27,keyasint"` // TruststoreDigest
	Installed   []Installed `cbor:"28,keyasint"`
	Factory     Hash        `cbor:"21,keyasint"`
	Operational Hash        `cbor:"29,keyasint,omitzero"`
	Wiped       *WipeReport `cbor:"30,keyasint,omitempty"`
	Error       int64       `cbor:"31,keyasint,omitzero"` // that led to FALLBACK
	Previous    Hash        `cbor:"32,keyasint,omitzero"` // receipt
}

// Installed is a manifest in force on the device.
type Installed struct {
	_        struct{} `cbor:",toarray"`
	Digest   CertHash
	Sequence uint64
}

// A WipeReport says which reset was performed and which classes were wiped: the
// numbers of WipeClasses.
type WipeReport struct {
	_       struct{} `cbor:",toarray"`
	Profile uint64
	Classes []uint64
}

const (
	receipts     = twiceSigned("receipt")
	maxInstalled = 16 // components of one device
	maxClasses   = 16
)

func (r *Receipt) validate() error {
	if r.Epoch > 1<<32-1 || len(r.Installed) > maxInstalled || r.Wiped != nil && len(r.Wiped.Classes) > maxClasses {
		return fmt.Errorf("transfer: receipt: %w", ErrValue)
	}
	for _, m := range r.Installed {
		if err := m.Digest.validate(); err != nil {
			return err
		}
	}
	if r.Factory.IsZero() || r.SPKI.IsZero() || r.Message.IsZero() {
		return fmt.Errorf("transfer: empty hash in receipt: %w", ErrValue)
	}
	return firstError(validateText("subject", r.Subject), validateID("message's id", r.ID))
}

// Sign returns the receipt, untagged, signed by the factory key and by second:
// the operational key with its certificate. If second has no certificate, its
// key is that of label 26.
func (r Receipt) Sign(factory, second Signer) ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	payload, err := encode(r)
	if err != nil {
		return nil, err
	}
	first, err := factory.signer()
	if err != nil {
		return nil, err
	}
	kid := KeyIDOf(second.Certificate)
	if len(second.Certificate) == 0 {
		kid = KeyID(r.SPKI[:KeyIDLength])
	}
	other, err := signerWith(second.Key, kid)
	if err != nil {
		return nil, err
	}
	return receipts.sign(payload, first, other)
}

// ParseReceipt reads a receipt whose signatures are not checked. Signer is the
// key identifier of the factory certificate.
func ParseReceipt(raw []byte) (*Signed[Receipt], error) {
	signed, _, err := parseReceipt(raw)
	return signed, err
}

func parseReceipt(raw []byte) (*Signed[Receipt], *cose.Sign, error) {
	message, err := receipts.open(raw)
	if err != nil {
		return nil, nil, err
	}
	signed := &Signed[Receipt]{}
	if signed.Signer, err = keyID(&message.Signatures[0].Headers); err != nil {
		return nil, nil, fmt.Errorf("transfer: receipt: %w", err)
	}
	if err := decode(message.Payload, MaxReceipt, &signed.Body); err != nil {
		return nil, nil, fmt.Errorf("receipt: %w", err)
	}
	if err := signed.Body.validate(); err != nil {
		return nil, nil, err
	}
	hash, err := message.Hash(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("transfer: receipt: %w: %w", ErrSyntax, err)
	}
	signed.Hash = hash
	return signed, message, nil
}

// VerifyReceipt reads a receipt and checks both signatures, and that labels 21
// and 29 name the certificates. operational may be nil only for a receipt of a
// state in which the device has no certificate, where the second key's holder
// shows himself at enrolment; VerifyReceipt then checks the first signature and
// that the second names the key of label 26. It returns ErrSigner or
// ErrSignature, beside the errors of ParseReceipt.
func VerifyReceipt(raw []byte, factory, operational *x509.Certificate) (*Signed[Receipt], error) {
	signed, message, second, err := factoryReceipt(raw, factory)
	if err != nil {
		return nil, err
	}
	if operational == nil {
		if !signed.Body.Operational.IsZero() || signed.Body.State.certified() ||
			second != KeyID(signed.Body.SPKI[:KeyIDLength]) {
			return nil, fmt.Errorf("transfer: receipt's second signature: %w", ErrSigner)
		}
		return signed, nil
	}
	if signed.Body.Operational != HashOf(operational.Raw) || second != KeyIDOf(operational.Raw) {
		return nil, fmt.Errorf("transfer: receipt's second signature: %w", ErrSigner)
	}
	return signed, receipts.verify(message, 1, operational.PublicKey)
}

// VerifyFactoryReceipt reads a receipt and checks the first signature, that of
// the factory key. It is for the provider that did not issue the operational
// certificate and cannot know it: the other one has checked the second signature
// against its inventory. What the receipt says of that certificate must still fit
// the second signature's key identifier. It returns ErrSigner or ErrSignature,
// beside the errors of ParseReceipt.
func VerifyFactoryReceipt(raw []byte, factory *x509.Certificate) (*Signed[Receipt], error) {
	signed, _, second, err := factoryReceipt(raw, factory)
	if err != nil {
		return nil, err
	}
	named := signed.Body.Operational
	switch {
	case named.IsZero() && signed.Body.State.certified():
		return nil, fmt.Errorf("transfer: %s receipt without an operational certificate: %w", signed.Body.State, ErrSigner)
	case named.IsZero():
		named = signed.Body.SPKI
	}
	if second != KeyID(named[:KeyIDLength]) {
		return nil, fmt.Errorf("transfer: receipt's second signature: %w", ErrSigner)
	}
	return signed, nil
}

// factoryReceipt reads a receipt whose first signature is that of the factory
// key, and returns the key identifier of the second.
func factoryReceipt(raw []byte, factory *x509.Certificate) (*Signed[Receipt], *cose.Sign, KeyID, error) {
	signed, message, err := parseReceipt(raw)
	if err != nil {
		return nil, nil, KeyID{}, err
	}
	if factory == nil || signed.Body.Factory != HashOf(factory.Raw) || signed.Signer != KeyIDOf(factory.Raw) {
		return nil, nil, KeyID{}, fmt.Errorf("transfer: receipt of another device: %w", ErrSigner)
	}
	second, err := keyID(&message.Signatures[1].Headers)
	if err != nil {
		return nil, nil, KeyID{}, fmt.Errorf("transfer: receipt: %w", err)
	}
	return signed, message, second, receipts.verify(message, 0, factory.PublicKey)
}

// certified reports whether a device in state s has an operational certificate,
// whose key then signs its receipts.
func (s DeviceState) certified() bool {
	return s == Ready || s == Done || s == Finalised || s == FellBack
}

// Follows checks that r continues the chain after previous: same device, same
// message, and label 32. It returns ErrChain.
func (r *Receipt) Follows(previous *Signed[Receipt]) error {
	p := &previous.Body
	if r.Previous != previous.Hash || r.Factory != p.Factory || r.Message != p.Message || r.Epoch != p.Epoch ||
		r.Destination != p.Destination {
		return fmt.Errorf("transfer: %s after %s: %w", r.State, p.State, ErrChain)
	}
	return nil
}
