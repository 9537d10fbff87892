package est

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
)

// MaxCSR is the largest request accepted, in bytes of DER: one for P-384 with a
// long name and a challengePassword stays below a quarter of it.
const MaxCSR = 4096

// A CSR is a PKCS#10 request that parsed and, unless a key is to be made for it,
// proved possession of its key.
type CSR struct {
	Hash Hash // of its DER: names the request when it is repeated
	SPKI Hash // zero if a key is to be made
	Key  crypto.PublicKey
	req  *x509.CertificateRequest
	spki []byte // Key in DER, if it came with the request

	attributes csrAttributes
	wanted     KeyAlgorithm // of the key to be made; "": whichever
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// ParseCSR reads a PKCS#10 request in DER (RFC 2986) and checks its signature,
// which is the proof of possession. It returns ErrCSRSize, ErrCSR, or ErrKey for
// a key of a kind or encoding that no profile accepts. Requested extensions other
// than subjectAltName are ignored (RFC 7030 §4.2.1 lets the CA decide); a
// challengePassword counts only where the profile demands channel binding.
func ParseCSR(der []byte) (*CSR, error) { return parseCSR(der, MaxCSR) }

func parseCSR(der []byte, limit int) (*CSR, error) {
	if len(der) > limit {
		return nil, fmt.Errorf("%w: %d bytes", ErrCSRSize, len(der))
	}
	if req, ok := parseUsual(der); ok {
		return proven(der, req, req.CheckSignature)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	return proven(der, req, req.CheckSignature)
}

// proven takes over a request with a key of its own if check finds its signature
// good; raw is as it came.
func proven(raw []byte, req *x509.CertificateRequest, check func() error) (*CSR, error) {
	switch req.SignatureAlgorithm {
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
	default: // SHA-1 and RSA are not for devices that have yet to be built
		return nil, fmt.Errorf("%w: signature algorithm %v", ErrCSR, req.SignatureAlgorithm)
	}
	if _, err := algorithmOf(req.PublicKey); err != nil {
		return nil, err
	}
	if err := check(); err != nil {
		return nil, fmt.Errorf("%w: proof of possession: %w", ErrCSR, err)
	}
	spki := req.RawSubjectPublicKeyInfo
	if !usual(spki, req.PublicKey) { // one key must have one hash
		return nil, fmt.Errorf("%w: unusual encoding of the key", ErrKey)
	}
	out, err := newCSR(raw, req)
	if err != nil {
		return nil, err
	}
	out.SPKI, out.Key, out.spki = sha256.Sum256(spki), req.PublicKey, spki
	return out, nil
}

// p256Head is what the SubjectPublicKeyInfo of each key of P-256 begins with (RFC 5480
// §2): its point follows, uncompressed, in 64 bytes.
var p256Head = []byte{
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
}

// usual reports whether spki encodes the key, which was read from it, as everybody does.
func usual(spki []byte, key crypto.PublicKey) bool {
	const point = 64
	if len(spki) == len(p256Head)+point && bytes.HasPrefix(spki, p256Head) {
		return true
	}
	want, err := x509.MarshalPKIXPublicKey(key)
	return err == nil && bytes.Equal(spki, want)
}

// newCSR takes over what requests with and without a key of their own have in
// common.
func newCSR(der []byte, req *x509.CertificateRequest) (*CSR, error) {
	if len(req.EmailAddresses) > 0 || len(req.IPAddresses) > 0 {
		return nil, fmt.Errorf("%w: address in subjectAltName", ErrCSR)
	}
	attributes, err := parseAttributes(req.RawTBSCertificateRequest)
	if err != nil {
		return nil, err
	}
	return &CSR{Hash: sha256.Sum256(der), req: req, attributes: attributes}, nil
}

// NewCSR makes the request of a device called name for its key, as ParseCSR and
// Enrol accept it. The signature's randomness comes from crypto/rand.
func NewCSR(key crypto.Signer, name string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

// checkOwner returns ErrName unless the request is in the name of the endpoint:
// the subject is its commonName and nothing else, every subjectAltName equals it.
func (c *CSR) checkOwner(endpoint string) error {
	names := c.req.Subject.Names
	if len(names) != 1 || !names[0].Type.Equal(oidCommonName) || names[0].Value != endpoint {
		return fmt.Errorf("%w: subject %q of %q", ErrName, c.req.Subject, endpoint)
	}
	for _, n := range slices.Concat(c.req.DNSNames, c.uris()) {
		if n != endpoint {
			return fmt.Errorf("%w: subjectAltName %q of %q", ErrName, n, endpoint)
		}
	}
	return nil
}

// checkRenewal returns ErrName unless subject and subjectAltName equal those of
// the certificate being renewed (RFC 7030 §4.2.2). Text is compared, not its
// ASN.1 string type: libraries choose that differently.
func (c *CSR) checkRenewal(old *x509.Certificate) error {
	if c.attributes.changesName {
		return fmt.Errorf("%w: ChangeSubjectName: a device keeps its name", ErrName)
	}
	if !slices.EqualFunc(c.req.Subject.Names, old.Subject.Names, func(a, b pkix.AttributeTypeAndValue) bool {
		return a.Type.Equal(b.Type) && a.Value == b.Value
	}) {
		return fmt.Errorf("%w: subject %q, not %q", ErrName, c.req.Subject, old.Subject)
	}
	var uris []string
	for _, u := range old.URIs {
		uris = append(uris, u.String())
	}
	if !slices.Equal(c.req.DNSNames, old.DNSNames) || !slices.Equal(c.uris(), uris) {
		return fmt.Errorf("%w: subjectAltName differs from that of the old certificate", ErrName)
	}
	return nil
}

func (c *CSR) uris() []string {
	var out []string
	for _, u := range c.req.URIs {
		out = append(out, u.String())
	}
	return out
}

// subject returns what the certificate for this request will say.
func (c *CSR) subject(name string) Subject {
	return Subject{Name: name, Key: c.Key, DNS: c.req.DNSNames, URI: c.uris(), spki: c.spki}
}

// Name returns the commonName that the request asks for; "" if it has none.
func (c *CSR) Name() string { return c.req.Subject.CommonName }
