package sim

import (
	"crypto"
	"crypto/x509"

	"steward/est"
	"steward/est/c509"
	"steward/est/estcoap"
)

// request returns the stored request for key, or makes and stores one.
func (l *life) request(key crypto.Signer) ([]byte, error) {
	stored := l.nv.Get(csrKey)
	if parsed, err := x509.ParseCertificateRequest(l.derOf(stored)); err == nil && samePublic(key, parsed.PublicKey) {
		return stored, nil
	}
	made, err := est.NewCSR(key, l.d.b.Endpoint)
	if err != nil {
		return nil, err
	}
	if l.native() {
		if made, err = (c509.Options{}).SignRequest(made, key); err != nil {
			return nil, err
		}
	}
	return made, l.put(map[string][]byte{csrKey: made})
}

// native reports whether requests are signed over CBOR.
func (l *life) native() bool { return l.o.NativeRequests && l.o.C509 != estcoap.C509Formats{} }

// encoding says what requests are written in, for events; "" is PKCS#10.
func (l *life) encoding() string {
	switch {
	case l.native():
		return "C509, signed natively"
	case l.o.C509 != estcoap.C509Formats{}:
		return "C509"
	}
	return ""
}

// derOf returns a stored request for whoever reads its key, nil if it is not of the
// kind that is asked with now.
func (l *life) derOf(stored []byte) []byte {
	if !l.native() {
		return stored
	}
	r, err := c509.ParseRequest(stored)
	if err != nil {
		return nil
	}
	return r.DER
}
