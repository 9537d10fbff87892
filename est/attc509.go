package est

import (
	"encoding/asn1"

	"steward/est/c509"
)

// Template is Attributes as a template of C509
// (draft-ietf-cose-cbor-encoded-cert-20 §4.4), which offers all keys of the profile,
// that preferred first. The extensions are optional: certificates have them anyway.
func (ca *CA) Template(c Client) ([]byte, error) {
	t := c509.Template{
		Types:   []c509.Type{c509.Reencoded, c509.Native},
		Subject: []c509.AttributeTemplate{{Min: 1, Max: 1}},
	}
	for _, k := range ca.o.Profiles.Operational.keys {
		key, signature := k.identifiers()
		if err := appendMarshalled(&t.Keys, key); err != nil {
			return nil, err
		}
		if err := appendMarshalled(&t.Signatures, keyAlgorithm{Algorithm: signature}); err != nil {
			return nil, err
		}
	}
	var err error
	if t.Subject[0].OID, err = objectContent(oidCommonName); err != nil {
		return nil, err
	}
	if c.Name != "" {
		t.Subject[0].Value = c509.EncodeText(c.Name)
	}
	for _, x := range []struct {
		id    asn1.ObjectIdentifier
		value byte // the only code or bit, as a CBOR integer
	}{{oidExtensionKeyUsage, 1}, {oidExtensionEKU, 2}} { // digitalSignature; clientAuth
		id, err := objectContent(x.id)
		if err != nil {
			return nil, err
		}
		t.Extensions = append(t.Extensions, c509.ExtensionTemplate{OID: id, Optional: true, Value: []byte{x.value}})
	}
	return t.Encode()
}

// appendMarshalled adds v in DER.
func appendMarshalled(list *[][]byte, v any) error {
	der, err := asn1.Marshal(v)
	if err != nil {
		return err
	}
	*list = append(*list, der)
	return nil
}

// objectContent returns what stands in an OBJECT IDENTIFIER.
func objectContent(id asn1.ObjectIdentifier) ([]byte, error) {
	der, err := asn1.Marshal(id)
	if err != nil {
		return nil, err
	}
	var raw asn1.RawValue
	_, err = asn1.Unmarshal(der, &raw)
	return raw.Bytes, err
}
