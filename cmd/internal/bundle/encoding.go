package bundle

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"

	"steward/suit"
	"steward/transfer"
)

// purposes lists the names of all purposes.
func purposes() map[string]transfer.Purposes {
	names := map[string]transfer.Purposes{}
	for p := transfer.Enrol; p <= transfer.Fallback; p <<= 1 {
		names[p.String()] = p
	}
	return names
}

// NewAnchor returns the anchor for a certificate in DER.
func NewAnchor(der []byte, p transfer.Purposes) Anchor {
	return Anchor{Certificate: EncodeCertificate(der), Purposes: strings.Fields(p.String())}
}

// EncodeCertificate returns a certificate in PEM.
func EncodeCertificate(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// EncodeKey returns a key in PEM, or ErrBundle for one that PKCS #8 cannot hold.
func EncodeKey(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func certificateOf(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("%w: not one certificate in PEM", ErrBundle)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return c, nil
}

// permanentAllows are the purposes of permanent anchors (transfer protocol §1,
// rule 4), beside those of a service user who signs mandates.
const permanentAllows = transfer.Enrol | transfer.Fallback | transfer.MandateSigner

func anchorsOf(all []transfer.Anchor, texts []Anchor, domain transfer.Domain) ([]transfer.Anchor, error) {
	known := purposes()
	for _, a := range texts {
		c, err := certificateOf(a.Certificate)
		if err != nil {
			return nil, err
		}
		var p transfer.Purposes
		for _, name := range a.Purposes {
			bit, ok := known[name]
			if !ok || bit == transfer.Fallback && domain == transfer.Current {
				return nil, fmt.Errorf("%w: purpose %.20q of a %s anchor", ErrBundle, name, domain)
			}
			p |= bit
		}
		if p == 0 || domain == transfer.Permanent && p&^permanentAllows != 0 {
			return nil, fmt.Errorf("%w: purposes %q of a %s anchor", ErrBundle, p, domain)
		}
		all = append(all, transfer.Anchor{
			Instance:    uint16(len(all)), //nolint:gosec // a file holds fewer
			Certificate: c.Raw, Purposes: p, Domain: domain,
		})
	}
	if len(all) > transfer.MaxInstances {
		return nil, fmt.Errorf("%w: %d anchors", ErrBundle, len(all))
	}
	return all, nil
}

func componentsOf(texts []string) ([]suit.ComponentID, error) {
	ids := make([]suit.ComponentID, 0, len(texts))
	for _, text := range texts {
		var segments [][]byte
		for part := range strings.SplitSeq(text, "/") {
			segment, err := hex.DecodeString(part)
			if err != nil {
				return nil, fmt.Errorf("%w: component %.40q is not hexadecimal", ErrBundle, text)
			}
			segments = append(segments, segment)
		}
		ids = append(ids, suit.NewComponentID(segments...))
	}
	return ids, nil
}
