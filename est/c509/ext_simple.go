package c509

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// octets is SubjectKeyIdentifier.
func (codec) octets(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.OCTET_STRING)
	return appendBytes(nil, s), ok
}

func (codec) octetsDER(it item) ([]byte, error) {
	if !it.is(majorBytes) {
		return nil, fmt.Errorf("%w: key identifier", ErrForm)
	}
	return tlv(asn1.OCTET_STRING, it.bytes), nil
}

func (codec) keyUsage(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.BIT_STRING)
	n, some := flags(s)
	return appendHead(nil, majorUint, n), ok && some
}

func (codec) keyUsageDER(it item) ([]byte, error) { return flagString(asn1.BIT_STRING, it) }

// basicConstraints is -2 for no CA, -1 for one without limit, else the limit.
func (codec) basicConstraints(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	if !ok || s.Empty() {
		return encodeInt(-2), ok
	}
	var ca bool
	if !s.ReadASN1Boolean(&ca) || !ca {
		return nil, false
	}
	if s.Empty() {
		return encodeInt(-1), true
	}
	content, ok := readInteger(&s)
	n, fits := small(content)
	return appendHead(nil, majorUint, n), ok && fits && s.Empty()
}

func (codec) basicConstraintsDER(it item) ([]byte, error) {
	ca := tlv(asn1.BOOLEAN, []byte{0xff})
	switch n, ok := it.int(); {
	case ok && n == -2:
		return tlv(asn1.SEQUENCE), nil
	case ok && n == -1:
		return tlv(asn1.SEQUENCE, ca), nil
	}
	limit, err := smallInteger(asn1.INTEGER, it)
	return tlv(asn1.SEQUENCE, ca, limit), err
}

// number is InhibitAnyPolicy.
func (codec) number(der []byte) ([]byte, bool) {
	s := cryptobyte.String(der)
	content, ok := readInteger(&s)
	n, fits := small(content)
	return appendHead(nil, majorUint, n), ok && fits && s.Empty()
}

func (codec) numberDER(it item) ([]byte, error) { return smallInteger(asn1.INTEGER, it) }

// nothing is an extension whose value is NULL.
func (codec) nothing(der []byte) ([]byte, bool) {
	return encodeNull(), bytes.Equal(der, tlv(asn1.NULL))
}

func (codec) nothingDER(it item) ([]byte, error) {
	if !it.null() {
		return nil, fmt.Errorf("%w: not null", ErrForm)
	}
	return tlv(asn1.NULL), nil
}

// features is TLSFeatures (RFC 7633).
func (codec) features(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var items [][]byte
	ok = ok && each(s, func(tag asn1.Tag, _, content cryptobyte.String) bool {
		m, ok := magnitude(content)
		n, fits := small(m)
		items = append(items, appendHead(nil, majorUint, n))
		return ok && fits && tag == asn1.INTEGER
	})
	return array(items...), ok
}

func (codec) featuresDER(it item) ([]byte, error) {
	if !it.is(majorArray) {
		return nil, fmt.Errorf("%w: TLS features", ErrForm)
	}
	return sequence(it.items, func(f item) ([]byte, error) { return smallInteger(asn1.INTEGER, f) })
}

// sequence encodes a SEQUENCE of what f returns.
func sequence(items []item, f func(item) ([]byte, error)) ([]byte, error) {
	var out [][]byte
	for _, it := range items {
		der, err := f(it)
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	return tlv(asn1.SEQUENCE, out...), nil
}

// usages is ExtKeyUsageSyntax.
func (codec) usages(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var items [][]byte
	ok = ok && each(s, func(tag asn1.Tag, _, oid cryptobyte.String) bool {
		items = append(items, identifier(usages, oid))
		return tag == asn1.OBJECT_IDENTIFIER && validOID(oid)
	})
	if len(items) == 1 {
		return items[0], ok
	}
	return array(items...), ok && len(items) > 0
}

func (c codec) usagesDER(it item) ([]byte, error) {
	one := func(it item) ([]byte, error) { return c.object(usages, it) }
	if !it.is(majorArray) {
		return sequence([]item{it}, one)
	}
	if len(it.items) < 2 {
		return nil, fmt.Errorf("%w: a sole key purpose in an array", ErrForm)
	}
	return sequence(it.items, one)
}
