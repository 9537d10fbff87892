package est

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // G505: a key identifier, not a signature
	"crypto/x509"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// A Standing is what is known of a certificate: x/crypto's Good, Revoked or Unknown.
type Standing struct {
	Status int
	At     time.Time // when it was revoked
	Reason int       // CRLReason of what was revoked
}

// An issuerID is how OCSP requests name an authority, by one hash algorithm.
type issuerID struct {
	hash      crypto.Hash
	name, key string
}

// issuerIDs returns the names of a CA certificate, by every algorithm that we know.
func issuerIDs(c *x509.Certificate) ([]issuerID, error) {
	bits, err := publicKeyBits(c.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	var out []issuerID
	for _, a := range hashAlgorithm {
		digest := func(b []byte) string {
			h := a.hash.New()
			_, _ = h.Write(b) // never fails
			return string(h.Sum(nil))
		}
		out = append(out, issuerID{a.hash, digest(c.RawSubject), digest(bits)})
	}
	return out, nil
}

// An ocspAnswer is what a basic response says (RFC 6960 §4.2.1).
type ocspAnswer struct {
	certs      []certID
	standings  []Standing
	this, next time.Time
	nonce      []byte // nil: none
}

// sign returns the OCSPResponse in DER, by the delegated responder.
func (d *delegate) sign(ca *CA, a ocspAnswer) ([]byte, error) {
	basic, err := signed(ca.random(), d.key, func(b *cryptobyte.Builder, _ []byte) { d.addResponseData(b, a) },
		func(b *cryptobyte.Builder) {
			b.AddASN1(tag.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(d.cert.Raw) })
			})
		})
	if err != nil {
		return nil, err
	}
	var out cryptobyte.Builder
	out.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(ocsp.Success))
		b.AddASN1(tag.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidOCSPBasic)
				b.AddASN1OctetString(basic)
			})
		})
	})
	return out.Bytes()
}

func (d *delegate) addResponseData(b *cryptobyte.Builder, a ocspAnswer) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { // byKey
			b.AddASN1OctetString(d.id)
		})
		b.AddASN1GeneralizedTime(a.this)
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			for i, id := range a.certs {
				addSingleResponse(b, id, a.standings[i], a)
			}
		})
		if a.nonce == nil {
			return
		}
		b.AddASN1(tag.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				addExtension(b, oidNonce, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(a.nonce) })
			})
		})
	})
}

func addSingleResponse(b *cryptobyte.Builder, id certID, s Standing, a ocspAnswer) {
	context := func(n uint8) tag.Tag { return tag.Tag(n).ContextSpecific() }
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		addCertID(b, id)
		switch s.Status {
		case ocsp.Good:
			b.AddASN1(context(0), func(*cryptobyte.Builder) {})
		case ocsp.Revoked:
			b.AddASN1(context(1).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1GeneralizedTime(s.At.UTC().Truncate(time.Second))
				if s.Reason != 0 { // unspecified is left out (RFC 5280 §5.3.1)
					b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
				}
			})
		default:
			b.AddASN1(context(2), func(*cryptobyte.Builder) {})
		}
		b.AddASN1GeneralizedTime(a.this)
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(a.next) })
	})
}

func addCertID(b *cryptobyte.Builder, id certID) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidOf(id.hash))
			b.AddASN1NULL()
		})
		b.AddASN1OctetString([]byte(id.name))
		b.AddASN1OctetString([]byte(id.key))
		b.AddASN1(tag.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id.raw)) })
	})
}

func oidOf(h crypto.Hash) asn1.ObjectIdentifier {
	for _, a := range hashAlgorithm {
		if a.hash == h {
			return a.oid
		}
	}
	return nil // AddASN1ObjectIdentifier refuses it
}

// responderID is byKey of RFC 6960 §4.2.1: the SHA-1 of the responder's key.
func responderID(c *x509.Certificate) ([]byte, error) {
	bits, err := publicKeyBits(c.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(bits) //nolint:gosec // G401: see the import
	return bytes.Clone(id[:]), nil
}
