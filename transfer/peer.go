package transfer

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// An Authorization is a provider's request to its CA to permit enrolments (§4,
// step 3): one entry for each accepted certificate.
type Authorization []AuthorizationEntry

// An AuthorizationEntry asks for one right.
type AuthorizationEntry struct {
	FactoryCert
	Window Window `cbor:"16,keyasint"`
	SPKI   Hash   `cbor:"26,keyasint,omitzero"` // zero: not known yet, the right stays closed
}

// Encode returns a as CBOR.
func (a Authorization) Encode() ([]byte, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	return encode([]AuthorizationEntry(a))
}

// ParseAuthorization reads an Authorization.
func ParseAuthorization(raw []byte) (Authorization, error) {
	var a Authorization
	if err := decode(raw, MaxBatch, &a); err != nil {
		return nil, err
	}
	return a, a.validate()
}

func (a Authorization) validate() error {
	if len(a) == 0 || len(a) > MaxDevices {
		return fmt.Errorf("transfer: %d authorizations: %w", len(a), ErrValue)
	}
	for _, e := range a {
		if err := firstError(e.validate(), e.Window.validate()); err != nil {
			return err
		}
	}
	return nil
}

// A Reason says why something is refused; empty means accepted, which the wire
// writes as 0.
type Reason string

// MarshalCBOR encodes 0 or a text.
func (r Reason) MarshalCBOR() ([]byte, error) {
	if r == "" {
		return []byte{0}, nil
	}
	return strict.Marshal(string(r))
}

// UnmarshalCBOR decodes 0 or a text that is not empty.
func (r *Reason) UnmarshalCBOR(raw []byte) error {
	if bytes.Equal(raw, []byte{0}) {
		*r = ""
		return nil
	}
	return strict.Unmarshal(raw, (*string)(r))
}

var _ interface {
	cbor.Marshaler
	cbor.Unmarshaler
} = (*Reason)(nil)

// An Answer is the incoming provider's verdict on each device of an info.
type Answer struct {
	Info     Hash      `cbor:"14,keyasint"`
	Transfer []byte    `cbor:"46,keyasint"`
	Devices  []Verdict `cbor:"47,keyasint"`
}

// A Verdict is the answer for one device.
type Verdict struct {
	_      struct{} `cbor:",toarray"`
	Device Thumbprint
	Reason Reason // empty: accepted
}

// Encode returns a as CBOR.
func (a Answer) Encode() ([]byte, error) { return encodeBody(a, a.validate()) }

// ParseAnswer reads an Answer.
func ParseAnswer(raw []byte) (Answer, error) {
	return parseBody(raw, MaxBatch, (*Answer).validate)
}

func (a *Answer) validate() error {
	if len(a.Devices) == 0 || len(a.Devices) > MaxDevices {
		return fmt.Errorf("transfer: answer for %d devices: %w", len(a.Devices), ErrValue)
	}
	seen := make(map[Thumbprint]bool, len(a.Devices))
	for _, d := range a.Devices {
		if len(d.Reason) > maxText || seen[d.Device] {
			return fmt.Errorf("transfer: answer for %v: %w", d.Device, ErrValue)
		}
		seen[d.Device] = true
	}
	return validateID("transfer's id", a.Transfer)
}

// A ReadyBody carries the READY receipt of one device to the incoming provider.
type ReadyBody struct {
	Transfer []byte `cbor:"46,keyasint"`
	Receipt  []byte `cbor:"48,keyasint"`
}

// Encode returns r as CBOR.
func (r ReadyBody) Encode() ([]byte, error) { return encodeBody(r, r.validate()) }

// ParseReadyBody reads a ReadyBody.
func ParseReadyBody(raw []byte) (ReadyBody, error) {
	return parseBody(raw, MaxSmall, (*ReadyBody).validate)
}

func (r *ReadyBody) validate() error {
	return firstError(validateID("transfer's id", r.Transfer), validateReceipts([][]byte{r.Receipt}))
}

// A Completion carries the receipts that end a device's transfer: DONE and
// FINALISED to the outgoing provider, or FELL_BACK to the incoming one.
type Completion struct {
	Transfer []byte   `cbor:"46,keyasint"`
	Receipts [][]byte `cbor:"48,keyasint"`
	// Verdict is the verifier's, where attestation was agreed; nil: none.
	Verdict []byte `cbor:"49,keyasint,omitempty"`
}

const maxReceipts = 8 // one of each state that makes one

// Encode returns c as CBOR.
func (c Completion) Encode() ([]byte, error) { return encodeBody(c, c.validate()) }

// ParseCompletion reads a Completion.
func ParseCompletion(raw []byte) (Completion, error) {
	return parseBody(raw, MaxSmall, (*Completion).validate)
}

func (c *Completion) validate() error {
	if len(c.Verdict) > MaxReceipt {
		return fmt.Errorf("transfer: verdict of %d bytes: %w", len(c.Verdict), ErrValue)
	}
	return firstError(validateID("transfer's id", c.Transfer), validateReceipts(c.Receipts))
}

func validateReceipts(receipts [][]byte) error {
	if len(receipts) == 0 || len(receipts) > maxReceipts {
		return fmt.Errorf("transfer: %d receipts: %w", len(receipts), ErrValue)
	}
	for _, r := range receipts {
		if len(r) == 0 || len(r) > MaxReceipt {
			return fmt.Errorf("transfer: receipt of %d bytes: %w", len(r), ErrValue)
		}
	}
	return nil
}

// A Withdrawal ends a transfer, or some devices' part in it.
type Withdrawal struct {
	Reason   string      `cbor:"35,keyasint"`
	Transfer []byte      `cbor:"46,keyasint"`
	Devices  []Withdrawn `cbor:"47,keyasint,omitempty"` // none: all
}

// Withdrawn is one device that is withdrawn, and why.
type Withdrawn struct {
	_      struct{} `cbor:",toarray"`
	Device Thumbprint
	Reason string
}

// Encode returns w as CBOR.
func (w Withdrawal) Encode() ([]byte, error) { return encodeBody(w, w.validate()) }

// ParseWithdrawal reads a Withdrawal.
func ParseWithdrawal(raw []byte) (Withdrawal, error) {
	return parseBody(raw, MaxBatch, (*Withdrawal).validate)
}

func (w *Withdrawal) validate() error {
	for _, d := range w.Devices {
		if len(d.Reason) > maxText {
			return fmt.Errorf("transfer: reason: %w", ErrValue)
		}
	}
	return firstError(validateText("reason", w.Reason), validateID("transfer's id", w.Transfer))
}

func encodeBody[T any](body T, invalid error) ([]byte, error) {
	if invalid != nil {
		return nil, invalid
	}
	return encode(body)
}

func parseBody[T any](raw []byte, limit int, validate func(*T) error) (T, error) {
	var body T
	if err := decode(raw, limit, &body); err != nil {
		return body, err
	}
	return body, validate(&body)
}
