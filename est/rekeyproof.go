package est

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"steward/lwm2m/dcbor"
	"steward/suit/cose"
)

// oidRekeyProof names the extension by which a request for a factory certificate
// carries the proof of the key before. It stands in the arc that RFC 5612 keeps for
// documentation, as the objects of the hand-over stand in OMA's test range.
var oidRekeyProof = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 42770, 1}

// rekeyAAD separates the proof from all else that a factory key signs.
const rekeyAAD = "steward/factory-rekey/1"

// MaxRekeyCSR is the largest request for a re-key, in bytes of DER: its proof may
// hold a mandate.
const MaxRekeyCSR = 2 * MaxCSR

// maxMandate bounds the mandate in a proof; so long is the longest that a device
// takes (transfer.MaxDeviceMandate).
const maxMandate = 4096

// rekeyProof is what the old factory key signs (transfer protocol §6): that the key
// of that hash is to take its place in the certificate of that subject.
type rekeyProof struct {
	_ struct{} `cbor:",toarray"`

	Old     []byte // SHA-256 of the certificate that is to be superseded
	SPKI    []byte // SHA-256 of the SubjectPublicKeyInfo of the request
	Subject string // commonName of both
	Mandate []byte // of the service user; null: none
}

// strictProof reads proofs: neither a second reading of the same bytes nor more of
// them than there may be.
var strictProof = dcbor.New(dcbor.Limits{Depth: 4}) // the least there is; a proof has two

// NewRekeyCSR makes the request for the factory certificate that is to take the place
// of old, by the new key, with the proof by the old one. mandate is the service user's
// order that goes along; nil: none. It returns ErrCSR for an old certificate that does
// not parse or a mandate that is too long, and ErrKey for keys of a kind that no
// profile accepts.
func NewRekeyCSR(key, oldKey crypto.Signer, old, mandate []byte) ([]byte, error) {
	certificate, err := x509.ParseCertificate(old)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if len(mandate) > maxMandate {
		return nil, fmt.Errorf("%w: mandate of %d bytes", ErrCSR, len(mandate))
	}
	spki, err := SPKI(key.Public())
	if err != nil {
		return nil, err
	}
	name, hash := certificate.Subject.CommonName, sha256.Sum256(old)
	payload, err := cbor.Marshal(rekeyProof{Old: hash[:], SPKI: spki[:], Subject: name, Mandate: mandate})
	if err != nil {
		return nil, err
	}
	var alg cose.Algorithm // the key's own
	signer, err := cose.NewSigner(oldKey, alg, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	proof, err := cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(rekeyAAD), Tagged: true})
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: name},
		ExtraExtensions: []pkix.Extension{{Id: oidRekeyProof, Value: proof}},
	}, key)
}

// A rekeyRequest is a request for a re-key whose new key is proved, and whose proof of
// the old one is read.
type rekeyRequest struct {
	csr     *CSR
	proof   rekeyProof
	old     Hash
	message []byte // the proof as it came
}

// parseRekey reads a request for a re-key in PKCS#10. It returns ErrCSR, ErrCSRSize
// or ErrKey. The signature of the old key is for verify.
func parseRekey(der []byte) (*rekeyRequest, error) {
	csr, err := parseCSR(der, MaxRekeyCSR)
	if err != nil {
		return nil, err
	}
	out := &rekeyRequest{csr: csr}
	for _, e := range csr.req.Extensions {
		if !e.Id.Equal(oidRekeyProof) {
			continue
		}
		if out.message != nil {
			return nil, fmt.Errorf("%w: two proofs of the old key", ErrCSR)
		}
		out.message = e.Value
	}
	if out.message == nil {
		return nil, fmt.Errorf("%w: no proof of the old factory key", ErrCSR)
	}
	if out.proof, out.old, err = readRekeyProof(out.message); err != nil {
		return nil, err
	}
	return out, nil
}

// verify returns ErrCSR unless the key of the old certificate signed the proof, for
// this request and its own name.
func (r *rekeyRequest) verify(old *x509.Certificate) error {
	return r.proof.verify(r.message, old, r.csr.SPKI)
}
