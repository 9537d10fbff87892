package est

import (
	"crypto/x509"
	"fmt"

	"steward/est/c509"
)

// ParseC509 reads a request in C509 (draft-ietf-cose-cbor-encoded-cert-20 §4) and
// checks its signature. One of type 3 is the PKCS#10 request that it stands for,
// with the same hash; one of type 2 is signed over CBOR. Errors are those of
// ParseCSR.
func ParseC509(b []byte) (*CSR, error) {
	if len(b) > MaxCSR {
		return nil, fmt.Errorf("%w: %d bytes", ErrCSRSize, len(b))
	}
	r, err := c509.ParseRequest(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if r.Type == c509.Reencoded {
		return ParseCSR(r.DER)
	}
	req, err := x509.ParseCertificateRequest(r.DER)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	return proven(r.Raw, req, r.Verify)
}

// parse reads the request in the form that it has.
func (r Request) parse() (*CSR, error) {
	if r.C509 {
		return ParseC509(r.CSR)
	}
	return ParseCSR(r.CSR)
}
