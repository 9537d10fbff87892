package c509

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Attributes with rules of their own (§3.1.4).
const (
	attributeEmail        = 0
	attributeCommonName   = 1
	attributeSerialNumber = 3
	attributeCountry      = 4
	attributeDomain       = 22
)

// tagMAC marks a MAC address (RFC 9542 §2.4).
const tagMAC = 48

// name encodes a Name, given with its header (§3.1.4).
func (c codec) name(der []byte) ([]byte, bool) {
	rdns, ok := only(der, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	var items [][]byte
	ok = each(rdns, func(tag asn1.Tag, _, set cryptobyte.String) bool {
		var pair, oid, value cryptobyte.String
		if tag != asn1.SET || !set.ReadASN1(&pair, asn1.SEQUENCE) || !set.Empty() || // several in one RDN
			!pair.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) {
			return false
		}
		value = pair
		if !oneElement(value) {
			return false
		}
		id, v := c.attribute(oid, value)
		items = append(items, id, v)
		return true
	})
	if !ok {
		return nil, false
	}
	if len(items) == 2 && bytes.Equal(items[0], encodeInt(attributeCommonName)) {
		return items[1], true
	}
	return array(items...), true
}

// attribute encodes a type and its value: text if the value is of a kind that is
// rebuilt exactly, else both as bytes.
func (c codec) attribute(oid, value []byte) (id, v []byte) {
	code, known := attributes.code(oid)
	s := cryptobyte.String(value)
	var text cryptobyte.String
	var tag asn1.Tag
	if !known || !s.ReadAnyASN1(&text, &tag) {
		return appendBytes(nil, oid), appendBytes(nil, value)
	}
	sign := int64(1)
	if tag == asn1.PrintableString && !c.native { // natively, text is text
		sign = -1
	}
	want, err := stringTag(code, sign < 0)
	if c.native && tag == asn1.PrintableString {
		tag = want
	}
	if err != nil || want != tag || checkText(code, want, text) != nil {
		return appendBytes(nil, oid), appendBytes(nil, value)
	}
	return encodeInt(sign * code), specialText(text)
}

// stringTag returns the ASN.1 string type of an attribute.
func stringTag(code int64, printable bool) (asn1.Tag, error) {
	ia5 := code == attributeEmail || code == attributeDomain
	switch {
	case ia5 && printable:
		return 0, fmt.Errorf("%w: attribute %d is an IA5String", ErrForm, code)
	case ia5:
		return asn1.IA5String, nil
	case printable:
		return asn1.PrintableString, nil
	}
	return asn1.UTF8String, nil
}

// checkText returns ErrForm for text that the string type or RFC 5280 forbids.
func checkText(code int64, tag asn1.Tag, text []byte) error {
	if code == attributeCountry || code == attributeSerialNumber {
		tag = asn1.PrintableString
	}
	ok := validText(tag, text) && (code != attributeCountry || len(text) == 2)
	if !ok {
		return fmt.Errorf("%w: text of attribute %d", ErrForm, code)
	}
	return nil
}

// specialText encodes text in its shortest form (§3.1.4).
func specialText(text []byte) []byte {
	if raw, ok := lowerHex(text); ok {
		return appendBytes(nil, raw)
	}
	if mac, ok := parseMAC(text); ok {
		return appendBytes(appendHead(nil, majorTag, tagMAC), mac)
	}
	return appendText(nil, text)
}

// specialString is the opposite of specialText.
func specialString(it item) ([]byte, error) {
	switch {
	case it.is(majorText):
		if !bytes.Equal(specialText(it.bytes), it.raw) {
			return nil, fmt.Errorf("%w: text that has a shorter form", ErrForm)
		}
		return it.bytes, nil
	case it.is(majorBytes) && len(it.bytes) > 0:
		return hex.AppendEncode(nil, it.bytes), nil
	case it.is(majorTag) && it.n == tagMAC && it.items[0].is(majorBytes):
		text := formatMAC(it.items[0].bytes)
		if !bytes.Equal(specialText(text), it.raw) {
			return nil, fmt.Errorf("%w: MAC address", ErrForm)
		}
		return text, nil
	}
	return nil, fmt.Errorf("%w: attribute value", ErrForm)
}

func lowerHex(text []byte) ([]byte, bool) {
	if len(text) < 2 || bytes.ContainsFunc(text, func(r rune) bool { return r >= 'A' && r <= 'F' }) {
		return nil, false
	}
	raw, err := hex.DecodeString(string(text))
	return raw, err == nil
}

// parseMAC reads "HH-HH-HH-HH-HH-HH-HH-HH" as 8 bytes, or as 6 if FF-FE is in the
// middle.
func parseMAC(text []byte) ([]byte, bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(string(text), "-", ""))
	if err != nil || len(raw) != 8 {
		return nil, false
	}
	if raw[3] == 0xff && raw[4] == 0xfe {
		raw = append(raw[:3], raw[5:]...)
	}
	return raw, bytes.Equal(formatMAC(raw), text)
}

func formatMAC(raw []byte) []byte {
	if len(raw) == 6 {
		raw = bytes.Join([][]byte{raw[:3], {0xff, 0xfe}, raw[3:]}, nil)
	}
	var out []byte
	for i, b := range raw {
		if i > 0 {
			out = append(out, '-')
		}
		out = fmt.Appendf(out, "%02X", b)
	}
	return out
}

// nameDER is the opposite of name.
func (c codec) nameDER(it item) ([]byte, error) {
	if !it.is(majorArray) {
		rdn, err := c.attributeDER(item{major: majorUint, n: attributeCommonName}, it)
		return tlv(asn1.SEQUENCE, rdn), err
	}
	if len(it.items)%2 != 0 {
		return nil, fmt.Errorf("%w: name", ErrForm)
	}
	if n, ok := first(it.items).int(); ok && len(it.items) == 2 && n == attributeCommonName {
		return nil, fmt.Errorf("%w: a sole common name in an array", ErrForm)
	}
	var rdns [][]byte
	for i := 0; i < len(it.items); i += 2 {
		rdn, err := c.attributeDER(it.items[i], it.items[i+1])
		if err != nil {
			return nil, err
		}
		rdns = append(rdns, rdn)
	}
	return tlv(asn1.SEQUENCE, rdns...), nil
}

func first(items []item) item {
	if len(items) == 0 {
		return item{major: majorSimple}
	}
	return items[0]
}

// attributeDER returns the RDN of one attribute.
func (c codec) attributeDER(id, v item) ([]byte, error) {
	oid, value, err := c.attributeParts(id, v)
	return tlv(asn1.SET, tlv(asn1.SEQUENCE, oid, value)), err
}

// attributeParts returns type and value of an attribute in DER.
func (c codec) attributeParts(id, v item) (oid, value []byte, err error) {
	n, ok := id.int()
	if !ok {
		oid, err = c.oid(attributes, id)
		if err == nil && (!v.is(majorBytes) || !oneElement(v.bytes)) {
			err = fmt.Errorf("%w: attribute value", ErrForm)
		}
		return oid, v.bytes, err
	}
	if n < 0 && c.native {
		return nil, nil, fmt.Errorf("%w: printable string in a native name", ErrForm)
	}
	code := max(n, -n)
	content, known := attributes.der(code)
	if !known {
		return nil, nil, fmt.Errorf("%w: attribute %d", ErrCode, n)
	}
	tag, err := stringTag(code, n < 0)
	if err != nil {
		return nil, nil, err
	}
	text, err := specialString(v)
	if err != nil {
		return nil, nil, err
	}
	err = checkText(code, tag, text)
	// Certificates that break the rule exist, and others encode them so; we write OID
	// and bytes.
	if !c.native && (tag == asn1.UTF8String || ascii(text)) {
		err = nil
	}
	return tlv(asn1.OBJECT_IDENTIFIER, content), tlv(tag, text), err
}
