package est

import (
	"encoding/asn1"
	"fmt"
)

// Object identifiers of CSR attributes (RFC 9908 §3) and of what stands in them.
var (
	// The attribute id-aa-certificationRequestInfoTemplate.
	oidRequestTemplate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 61}
	oidECPublicKey       = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidP256              = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384              = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidEd25519           = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidECDSAWithSHA256   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidExtensionKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtensionEKU      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidClientAuth        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

// Attributes returns the CsrAttrs of the operational profile in DER (RFC 9908): what
// a request of c should look like. It holds the template and, for clients that do
// not know that, the same in the manner of RFC 7030 §4.5.2. The key is that which
// the profile lists first; others of the profile are accepted as well.
func (ca *CA) Attributes(c Client) ([]byte, error) {
	p := ca.o.Profiles.Operational
	key, signature := p.keys[0].identifiers()
	extensions, err := requestExtensions()
	if err != nil {
		return nil, err
	}
	template, err := p.requestTemplate(c.Name, key, extensions)
	if err != nil {
		return nil, err
	}
	old := []any{keyTypeOf(key), attributeOf(oidExtensionRequest, extensions), signature}
	if p.binding {
		old = append(old, oidChallengePassword)
	}
	return sequence(append([]any{attributeOf(oidRequestTemplate, template)}, old...)...)
}

// A derAttribute is an Attribute (RFC 2986 §4.1) to be written.
type derAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

func attributeOf(id asn1.ObjectIdentifier, values ...asn1.RawValue) derAttribute {
	return derAttribute{id, append([]asn1.RawValue{}, values...)}
}

// keyAlgorithm is the AlgorithmIdentifier of a key.
type keyAlgorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.ObjectIdentifier `asn1:"optional"`
}

// identifiers returns the algorithm of a key and that of its signature.
func (k KeyAlgorithm) identifiers() (key keyAlgorithm, signature asn1.ObjectIdentifier) {
	switch k {
	case P384:
		return keyAlgorithm{oidECPublicKey, oidP384}, oidECDSAWithSHA384
	case Ed25519:
		return keyAlgorithm{Algorithm: oidEd25519}, oidEd25519
	default:
		return keyAlgorithm{oidECPublicKey, oidP256}, oidECDSAWithSHA256
	}
}

// keyTypeOf is the old-style attribute of a key: its type is the algorithm, its
// value the parameters (RFC 9908 §3.2).
func keyTypeOf(key keyAlgorithm) derAttribute {
	out := attributeOf(key.Algorithm)
	if der, err := asn1.Marshal(key.Parameters); err == nil && len(key.Parameters) > 0 {
		out.Values = append(out.Values, asn1.RawValue{FullBytes: der})
	}
	return out
}

// extension is Extension (RFC 5280 §4.1).
type extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool `asn1:"optional"`
	Value    []byte
}

// requestExtensions returns the Extensions of every device certificate, complete
// with their values: those of the shape of KindOperational.
func requestExtensions() (asn1.RawValue, error) {
	usage, err := asn1.Marshal(asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}) // digitalSignature
	if err != nil {
		return asn1.RawValue{}, err
	}
	extended, err := asn1.Marshal([]asn1.ObjectIdentifier{oidClientAuth})
	if err != nil {
		return asn1.RawValue{}, err
	}
	return raw([]extension{{oidExtensionKeyUsage, true, usage}, {oidExtensionEKU, false, extended}})
}

// requestTemplate returns the CertificationRequestInfoTemplate (RFC 9908 §3.4): the
// name is the client's own, the key is without its bits.
func (p *Profile) requestTemplate(name string, key keyAlgorithm, extensions asn1.RawValue) (asn1.RawValue, error) {
	type attributeValue struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8,optional"` // absent: the client fills it in
	}
	set, err := asn1.MarshalWithParams([]attributeValue{{oidCommonName, name}}, "set")
	if err != nil {
		return asn1.RawValue{}, err
	}
	attributes := []derAttribute{attributeOf(oidExtensionRequest, extensions)}
	if p.binding {
		attributes = append(attributes, attributeOf(oidChallengePassword))
	}
	return raw(struct {
		Version    int
		Subject    []asn1.RawValue
		Key        struct{ Algorithm keyAlgorithm } `asn1:"tag:0"`
		Attributes []derAttribute                   `asn1:"tag:1,set"`
	}{0, []asn1.RawValue{{FullBytes: set}}, struct{ Algorithm keyAlgorithm }{key}, attributes})
}

// raw is asn1.Marshal into a part of something larger.
func raw(v any) (asn1.RawValue, error) {
	der, err := asn1.Marshal(v)
	return asn1.RawValue{FullBytes: der}, err
}

// sequence marshals parts of several types into one SEQUENCE.
func sequence(parts ...any) ([]byte, error) {
	var all []byte
	for _, p := range parts {
		der, err := asn1.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("csr attributes: %w", err)
		}
		all = append(all, der...)
	}
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: all})
}
