package transfer

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"steward/est"
)

// rekeyed demands that each factory certificate has taken the place of the one before by
// order of its key, that one permanent CA has certified both, and that the last of them
// is the device's.
func (c *deviceCheck) rekeyed() error {
	at := []byte(nil)
	for i, r := range c.d.Rekeys {
		if i > 0 && !bytes.Equal(r.Former, at) {
			return fmt.Errorf("re-key %d begins elsewhere than that before has ended: %w", i+1, ErrRecord)
		}
		if err := c.rekey(&r); err != nil {
			return fmt.Errorf("re-key %d: %w", i+1, err)
		}
		at = r.Next
	}
	if !bytes.Equal(at, c.d.Factory) {
		return fmt.Errorf("they do not end at its factory certificate: %w", ErrRecord)
	}
	return nil
}

func (c *deviceCheck) rekey(r *RecordRekey) error {
	former, err := x509.ParseCertificate(r.Former)
	if err != nil {
		return err
	}
	next, err := x509.ParseCertificate(r.Next)
	if err != nil {
		return err
	}
	if len(r.Proof) == 0 {
		return fmt.Errorf("the device has shown no proof by the key before: %w", ErrRecord)
	}
	if err := est.CheckRekeyProof(r.Proof, former, next); err != nil {
		return err
	}
	both := slices.ContainsFunc(c.record.Permanent, func(der []byte) bool {
		ca, err := x509.ParseCertificate(der)
		return err == nil && former.CheckSignatureFrom(ca) == nil && next.CheckSignatureFrom(ca) == nil
	})
	return firstFalse(ErrRecord, []claim{
		{both, "no permanent CA of the record has certified both"},
		{!next.NotBefore.Before(former.NotBefore), "the certificate is older than that before"},
	})
}
