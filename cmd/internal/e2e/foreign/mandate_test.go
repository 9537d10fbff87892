package foreign_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
)

// ownMandate signs a mandate as the outgoing provider itself, where there is no service
// user.
func (f *foreign) ownMandate(id []byte, devices [][]byte, window pair2) []byte {
	raw, _ := f.signer.signDocument("steward/mandate/1", mandate{
		Issuer: f.name, Expires: window[1], Issued: now(), ID: id,
		Terms: mandateTerms{Window: window, From: f.name, To: f.other.name, Which: devices},
	})
	return tagged(tagSign1, raw)
}

// openMandate verifies a mandate of the service user, or of the outgoing provider where
// there is none, and returns its hash.
func (f *foreign) openMandate(raw []byte, from partner) (m mandate, hash []byte, err error) {
	by := from
	if f.owner != nil {
		by = *f.owner
	}
	hash, err = openDocument(raw, "steward/mandate/1", by.signing, &m)
	switch {
	case err != nil:
		return m, nil, err
	case m.Issuer != by.name || m.Terms.From != from.name || m.Expires < now() || m.Terms.Window[1] < now():
		return m, nil, refused("mandate of %s for %s", m.Issuer, m.Terms.From)
	}
	return m, hash, nil
}

// names reports whether a mandate is for a device.
func (m mandate) names(device *x509.Certificate) bool {
	switch which := m.Terms.Which.(type) {
	case string: // a name before * is the beginning of certified names
		begin, every := strings.CutSuffix(which, "*")
		return every && strings.HasPrefix(device.Subject.CommonName, begin)
	case []any:
		return slices.ContainsFunc(which, func(one any) bool {
			hash, ok := one.([]byte)
			return ok && bytes.Equal(hash, hashOf(device.Raw))
		})
	}
	return false
}
