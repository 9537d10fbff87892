package est

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"steward/suit/cose"
)

// A Succession is a factory certificate that has taken the place of another, as
// FollowFactory has seen it.
type Succession struct {
	Old, New []byte // DER
	// Proof is what the key of Old has signed (CheckRekeyProof); nil: the device showed
	// none.
	Proof []byte
	At    time.Time
}

// Succession returns by which a factory certificate has taken the place of another, or
// ErrUnknown: for one that has taken none.
func (ca *CA) Succession(ctx context.Context, factory Hash) (Succession, error) {
	if ca.o.Origins == nil {
		return Succession{}, fmt.Errorf("%w: succession of %x", ErrUnknown, factory[:8])
	}
	return ca.o.Origins.Succession(ctx, factory)
}

// RekeyProof returns the proof of the key before in a request that NewRekeyCSR made: a
// COSE_Sign1, which by itself shows nobody the way in. It returns ErrCSR, ErrCSRSize or
// ErrKey.
func RekeyProof(csr []byte) ([]byte, error) {
	request, err := parseRekey(csr)
	if err != nil {
		return nil, err
	}
	return request.message, nil
}

// maxRekeyProof bounds a proof: headers, hashes, a name and a mandate.
const maxRekeyProof = maxMandate + 1024

// CheckRekeyProof verifies that the key of the factory certificate old has ordered that
// of fresh to take its place, for the same subject. Who has certified fresh is not its
// business. It returns ErrCSR, ErrKey or ErrName.
func CheckRekeyProof(proof []byte, old, fresh *x509.Certificate) error {
	if len(proof) > maxRekeyProof {
		return fmt.Errorf("%w: proof of the old factory key of %d bytes", ErrCSR, len(proof))
	}
	claim, hash, err := readRekeyProof(proof)
	if err != nil {
		return err
	}
	if hash != sha256.Sum256(old.Raw) {
		return fmt.Errorf("%w: the proof of the old factory key is for another certificate", ErrCSR)
	}
	if !bytes.Equal(fresh.RawSubject, old.RawSubject) {
		return fmt.Errorf("%w: subject %q, not %q", ErrName, fresh.Subject, old.Subject)
	}
	return claim.verify(proof, old, sha256.Sum256(fresh.RawSubjectPublicKeyInfo))
}

// readRekeyProof reads a proof whose signature is not checked, and the hash of the
// certificate whose key is to have signed it.
func readRekeyProof(raw []byte) (claim rekeyProof, old Hash, err error) {
	message, err := cose.ParseSign1(raw)
	if err != nil {
		return claim, old, fmt.Errorf("%w: proof of the old factory key: %w", ErrCSR, err)
	}
	if err := strictProof.Unmarshal(message.Payload, &claim); err != nil {
		return claim, old, fmt.Errorf("%w: proof of the old factory key: %w", ErrCSR, err)
	}
	if copy(old[:], claim.Old) != len(old) || len(claim.Old) != len(old) || len(claim.Mandate) > maxMandate {
		return claim, old, fmt.Errorf("%w: proof of the old factory key: wrong length", ErrCSR)
	}
	return claim, old, nil
}

// verify returns ErrCSR unless the key of the old certificate signed the proof, for the
// key of that hash and its own name.
func (p *rekeyProof) verify(raw []byte, old *x509.Certificate, spki Hash) error {
	verifier, err := cose.NewVerifier(old.PublicKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if _, err := cose.VerifySign1(raw, verifier, nil, []byte(rekeyAAD)); err != nil {
		return fmt.Errorf("%w: proof of the old factory key: %w", ErrCSR, err)
	}
	if !bytes.Equal(p.SPKI, spki[:]) {
		return fmt.Errorf("%w: the proof of the old factory key is for another key", ErrCSR)
	}
	if p.Subject != old.Subject.CommonName {
		return fmt.Errorf("%w: the proof of the old factory key is for %q", ErrName, p.Subject)
	}
	return nil
}
