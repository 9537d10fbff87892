package c509

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// access is AuthorityInfoAccess and SubjectInfoAccess, of URIs alone.
func (codec) access(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var items [][]byte
	ok = ok && each(s, func(tag asn1.Tag, _, pair cryptobyte.String) bool {
		var oid, uri []byte
		if tag != asn1.SEQUENCE || !pair.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) ||
			!pair.ReadASN1Bytes(&uri, context0|nameURI) || !pair.Empty() || !ascii(uri) {
			return false
		}
		items = append(items, identifier(accesses, oid), appendText(nil, uri))
		return true
	})
	return array(items...), ok && len(items) > 0
}

func (c codec) accessDER(it item) ([]byte, error) {
	return pairs(it, func(method, uri item) ([]byte, error) {
		oid, err := c.object(accesses, method)
		if err != nil {
			return nil, err
		}
		location, err := c.generalNameDER(nameURI, uri, false)
		return tlv(asn1.SEQUENCE, oid, location), err
	})
}

// pairs encodes a SEQUENCE of what f returns for each two items of an array.
func pairs(it item, f func(a, b item) ([]byte, error)) ([]byte, error) {
	if !it.is(majorArray) || len(it.items) == 0 || len(it.items)%2 != 0 {
		return nil, fmt.Errorf("%w: not an array of pairs", ErrForm)
	}
	var out []byte
	for i := 0; i < len(it.items); i += 2 {
		der, err := f(it.items[i], it.items[i+1])
		if err != nil {
			return nil, err
		}
		out = append(out, der...)
	}
	return tlv(asn1.SEQUENCE, out), nil
}

// mappings is PolicyMappings.
func (codec) mappings(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var items [][]byte
	ok = ok && each(s, func(tag asn1.Tag, _, pair cryptobyte.String) bool {
		var issuer, subject []byte
		if tag != asn1.SEQUENCE || !pair.ReadASN1Bytes(&issuer, asn1.OBJECT_IDENTIFIER) || !validOID(issuer) ||
			!pair.ReadASN1Bytes(&subject, asn1.OBJECT_IDENTIFIER) || !validOID(subject) || !pair.Empty() {
			return false
		}
		items = append(items, identifier(policies, issuer), identifier(policies, subject))
		return true
	})
	return array(items...), ok && len(items) > 0
}

func (c codec) mappingsDER(it item) ([]byte, error) {
	return pairs(it, func(a, b item) ([]byte, error) {
		issuer, err := c.object(policies, a)
		if err != nil {
			return nil, err
		}
		subject, err := c.object(policies, b)
		return tlv(asn1.SEQUENCE, issuer, subject), err
	})
}

// optional encodes two optional fields with implicit tags 0 and 1 as an array of
// two, null for what is absent.
func optional(der []byte, constructed asn1.Tag, f func(content cryptobyte.String) ([]byte, bool)) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	items := [2][]byte{encodeNull(), encodeNull()}
	for i := range items {
		var content cryptobyte.String
		var present bool
		tag := context0 | constructed | asn1.Tag(i)
		if !s.ReadOptionalASN1(&content, &present, tag) {
			return nil, false
		}
		if present {
			if items[i], ok = f(content); !ok {
				return nil, false
			}
		}
	}
	return array(items[:]...), s.Empty()
}

// optionalDER is the opposite of optional; f encodes a field with its tag.
func optionalDER(it item, f func(tag asn1.Tag, it item) ([]byte, error)) ([]byte, error) {
	if !it.is(majorArray) || len(it.items) != 2 {
		return nil, fmt.Errorf("%w: not an array of two", ErrForm)
	}
	var out []byte
	for i, v := range it.items {
		if v.null() {
			continue
		}
		der, err := f(context0|asn1.Tag(i), v)
		if err != nil {
			return nil, err
		}
		out = append(out, der...)
	}
	return tlv(asn1.SEQUENCE, out), nil
}

// policyLimits is PolicyConstraints.
func (codec) policyLimits(der []byte) ([]byte, bool) {
	return optional(der, 0, func(content cryptobyte.String) ([]byte, bool) {
		m, ok := magnitude(content)
		n, fits := small(m)
		return appendHead(nil, majorUint, n), ok && fits
	})
}

func (codec) policyLimitsDER(it item) ([]byte, error) { return optionalDER(it, smallInteger) }

// constraints is NameConstraints.
func (c codec) constraints(der []byte) ([]byte, bool) {
	return optional(der, 0x20, func(content cryptobyte.String) ([]byte, bool) {
		items, ok := c.generalNames(content, true)
		return array(items...), ok
	})
}

func (c codec) constraintsDER(it item) ([]byte, error) {
	return optionalDER(it, func(tag asn1.Tag, it item) ([]byte, error) {
		subtrees, err := c.generalNamesDER(it, true)
		return tlv(tag.Constructed(), subtrees), err
	})
}

// authorityKey is AuthorityKeyIdentifier: the identifier, or all three fields.
func (c codec) authorityKey(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var id, names cryptobyte.String
	if !ok || !s.ReadASN1(&id, context0) {
		return nil, false
	}
	if s.Empty() {
		return appendBytes(nil, id), true
	}
	var serial cryptobyte.String
	if !s.ReadASN1(&names, explicit0|1) || !s.ReadASN1(&serial, context0|2) || !s.Empty() {
		return nil, false
	}
	issuer, ok := c.generalNames(names, false)
	number, unsigned := magnitude(serial)
	return array(appendBytes(nil, id), array(issuer...), appendBytes(nil, number)), ok && unsigned
}

func (c codec) authorityKeyDER(it item) ([]byte, error) {
	if it.is(majorBytes) {
		return tlv(asn1.SEQUENCE, tlv(context0, it.bytes)), nil
	}
	if !it.is(majorArray) || len(it.items) != 3 || !it.items[0].is(majorBytes) {
		return nil, fmt.Errorf("%w: authority key identifier", ErrForm)
	}
	names, err := c.generalNamesDER(it.items[1], false)
	if err != nil {
		return nil, err
	}
	serial, err := serialDER(it.items[2])
	if err != nil {
		return nil, err
	}
	serial[0] = byte(context0 | 2)
	return tlv(asn1.SEQUENCE, tlv(context0, it.items[0].bytes), tlv(explicit0|1, names), serial), nil
}

// serialDER reads an unwrapped bignum as INTEGER (§3.1.2).
func serialDER(it item) ([]byte, error) {
	if !it.is(majorBytes) || bytes.HasPrefix(it.bytes, []byte{0}) {
		return nil, fmt.Errorf("%w: not an unwrapped bignum", ErrForm)
	}
	return integer(it.bytes), nil
}
