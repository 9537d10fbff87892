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
	if r, native, err := readRequest(stored); err == nil && native == l.native() && samePublic(key, r.PublicKey) {
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

// readRequest reads a stored request of either encoding for what it says; native
// says which.
func readRequest(stored []byte) (request *x509.CertificateRequest, native bool, err error) {
	r, notC509 := c509.ParseRequest(stored)
	if notC509 == nil {
		stored = r.DER
	}
	request, err = x509.ParseCertificateRequest(stored)
	return request, notC509 == nil, err
}
