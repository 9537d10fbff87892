package c509

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Kinds of policy qualifiers (§8.10).
const (
	qualifierCPS    = 1
	qualifierNotice = 2
)

// policies is CertificatePolicies: identifiers, each with its qualifiers.
func (codec) policies(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var items [][]byte
	ok = ok && each(s, func(tag asn1.Tag, _, info cryptobyte.String) bool {
		var oid []byte
		if tag != asn1.SEQUENCE || !info.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) {
			return false
		}
		list, ok := policyQualifiers(info)
		items = append(items, identifier(policies, oid), array(list...))
		return ok
	})
	return array(items...), ok && len(items) > 0
}

// policyQualifiers encodes what follows the identifier of a policy.
func policyQualifiers(info cryptobyte.String) (items [][]byte, ok bool) {
	if info.Empty() {
		return nil, true
	}
	s, ok := only(info, asn1.SEQUENCE)
	ok = ok && each(s, func(tag asn1.Tag, _, q cryptobyte.String) bool {
		var oid []byte
		if tag != asn1.SEQUENCE || !q.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) {
			return false
		}
		kind, _ := qualifiers.code(oid)
		text, ok := qualifierText(kind, q)
		items = append(items, encodeInt(kind), appendText(nil, text))
		return ok
	})
	return items, ok && len(items) > 0
}

func qualifierText(kind int64, q cryptobyte.String) (text cryptobyte.String, ok bool) {
	switch kind {
	case qualifierCPS:
		text, ok = only(q, asn1.IA5String)
		return text, ok && ascii(text)
	case qualifierNotice: // explicitText alone
		notice, ok := only(q, asn1.SEQUENCE)
		if !ok {
			return nil, false
		}
		text, ok = only(notice, asn1.UTF8String)
		return text, ok && validText(asn1.UTF8String, text)
	}
	return nil, false
}

func (c codec) policiesDER(it item) ([]byte, error) {
	return pairs(it, func(id, list item) ([]byte, error) {
		oid, err := c.object(policies, id)
		if err != nil {
			return nil, err
		}
		if !list.is(majorArray) {
			return nil, fmt.Errorf("%w: policy qualifiers", ErrForm)
		}
		if len(list.items) == 0 {
			return tlv(asn1.SEQUENCE, oid), nil
		}
		info, err := pairs(list, qualifierDER)
		return tlv(asn1.SEQUENCE, oid, info), err
	})
}

func qualifierDER(id, text item) ([]byte, error) {
	kind, ok := id.int()
	if !ok || !text.is(majorText) { // the syntax of another's value is not known
		return nil, fmt.Errorf("%w: policy qualifier", ErrForm)
	}
	oid, known := qualifiers.der(kind)
	if !known {
		return nil, fmt.Errorf("%w: policy qualifier %d", ErrCode, kind)
	}
	value := tlv(asn1.SEQUENCE, tlv(asn1.UTF8String, text.bytes))
	if kind == qualifierCPS {
		if !ascii(text.bytes) {
			return nil, fmt.Errorf("%w: URI", ErrForm)
		}
		value = tlv(asn1.IA5String, text.bytes)
	}
	return tlv(asn1.SEQUENCE, tlv(asn1.OBJECT_IDENTIFIER, oid), value), nil
}
