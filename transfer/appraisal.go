package transfer

import "fmt"

// An Appraisal asks the verifier of another provider about a device that comes: for a
// nonce, or, with evidence, for the verdict on it (§4, step 9a).
type Appraisal struct {
	Transfer []byte `cbor:"46,keyasint"`
	Factory  Hash   `cbor:"21,keyasint"` // the device's factory certificate
	Ready    []byte `cbor:"48,keyasint"` // its READY receipt
	Evidence []byte `cbor:"51,keyasint,omitempty"`
}

// Encode returns a as CBOR.
func (a Appraisal) Encode() ([]byte, error) { return encodeBody(a, a.validate()) }

// ParseAppraisal reads an Appraisal.
func ParseAppraisal(raw []byte) (Appraisal, error) {
	return parseBody(raw, MaxSmall, (*Appraisal).validate)
}

const maxEvidence = 4096 // bytes, as verifiers take it

func (a *Appraisal) validate() error {
	if a.Factory.IsZero() || len(a.Evidence) > maxEvidence {
		return fmt.Errorf("transfer: appraisal: %w", ErrValue)
	}
	return firstError(validateID("transfer's id", a.Transfer), validateReceipts([][]byte{a.Ready}))
}
