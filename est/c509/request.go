package c509

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Attributes of requests that have a form of their own (§4.3).
const (
	requestExtensions = 0
	requestPassword   = 1
	requestStatement  = 2
)

// tagPrintable marks a challenge password that is a PrintableString (§4.3.2).
const tagPrintable = 121

// requestItems is how many items a request has (§4).
const requestItems = 7

// A Request is a C509 certification request that was read.
type Request struct {
	Type Type
	Raw  []byte // its array, also if it came as a sequence
	// DER is the PKCS#10 request that a type 3 one re-encodes. Of a type 2 one it is
	// the same fields, for whoever reads those; its signature covers Raw. A native
	// certificate in a statement of possession (§4.3.3) is left out of it.
	DER []byte

	signed
}

// ParseRequest reads one request, see ParseCertificate for forms and errors. It
// does not check the signature: see Request.Verify.
func ParseRequest(b []byte) (*Request, error) {
	items, raw, err := fields(b, requestItems)
	if err != nil {
		return nil, err
	}
	typ, c, err := typeOf(items[0])
	if err != nil {
		return nil, err
	}
	out := &Request{Type: typ, Raw: raw}
	if err := out.read(c, items); err != nil {
		return nil, err
	}
	if typ == Native {
		out.message = native(raw, items)
	}
	return out, nil
}

func (out *Request) read(c codec, items []item) error {
	alg, err := algorithmDER(signatures, items[1])
	if err != nil {
		return err
	}
	subject, err := c.nameDER(items[2])
	if err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	spki, err := c.keyInfoDER(items[3], items[4])
	if err != nil {
		return err
	}
	attrs, err := c.requestAttributesDER(items[5])
	if err != nil {
		return err
	}
	info := tlv(asn1.SEQUENCE, integer(nil), subject, spki, tlv(explicit0, attrs))
	if err := out.sign(c, info, alg, spki, items[6]); err != nil {
		return err
	}
	out.DER = out.rebuild()
	return nil
}

func (c codec) requestAttributesDER(it item) ([]byte, error) {
	if !it.is(majorArray) || len(it.items)%2 != 0 {
		return nil, fmt.Errorf("%w: attributes", ErrForm)
	}
	var out []byte
	for i := 0; i < len(it.items); i += 2 {
		oid, err := c.object(requestAttributes, it.items[i])
		if err != nil {
			return nil, err
		}
		value, err := c.requestValueDER(it.items[i], it.items[i+1])
		if err != nil {
			return nil, err
		}
		out = append(out, tlv(asn1.SEQUENCE, oid, tlv(asn1.SET, value))...)
	}
	return out, nil
}

func (c codec) requestValueDER(id, v item) ([]byte, error) {
	code, ok := id.int()
	switch {
	case !ok && (!v.is(majorBytes) || !oneElement(v.bytes)):
		return nil, fmt.Errorf("%w: value of an attribute", ErrForm)
	case !ok:
		return v.bytes, nil
	case code == requestExtensions:
		list, err := c.extensionsDER(v)
		return tlv(asn1.SEQUENCE, list), err
	case code == requestPassword:
		return c.passwordDER(v)
	}
	return c.statementDER(v)
}

func (c codec) passwordDER(v item) ([]byte, error) {
	if v.is(majorText) {
		return tlv(asn1.UTF8String, v.bytes), nil
	}
	if c.native || !v.is(majorTag) || v.n != tagPrintable || !v.items[0].is(majorText) ||
		!validText(asn1.PrintableString, v.items[0].bytes) {
		return nil, fmt.Errorf("%w: challenge password", ErrForm)
	}
	return tlv(asn1.PrintableString, v.items[0].bytes), nil
}

// statementDER is PrivateKeyPossessionStatement (RFC 9883).
func (c codec) statementDER(v item) ([]byte, error) {
	if !v.is(majorArray) || len(v.items) != 3 {
		return nil, fmt.Errorf("%w: statement of possession", ErrForm)
	}
	who, err := c.issuerAndSerialDER(v.items[0], v.items[1])
	if err != nil || v.items[2].null() {
		return tlv(asn1.SEQUENCE, who), err
	}
	if !v.items[2].is(majorBytes) {
		return nil, fmt.Errorf("%w: statement of possession", ErrForm)
	}
	cert, err := ParseCertificate(v.items[2].bytes)
	switch {
	case err != nil:
		return nil, fmt.Errorf("statement of possession: %w", err)
	case cert.Type == Reencoded:
		return tlv(asn1.SEQUENCE, who, cert.DER), nil
	case !c.native: // there is no DER that it could be rebuilt to
		return nil, fmt.Errorf("%w: native certificate in a re-encoded request", ErrForm)
	}
	return tlv(asn1.SEQUENCE, who), nil
}

// request encodes a PKCS#10 request but for the signature.
func (c codec) request(typ Type, der []byte) (body []byte, s x509Signed, err error) {
	s, err = splitSigned(der)
	if err != nil {
		return nil, s, err
	}
	var subject, spki, attrs cryptobyte.String
	info := s.content
	version, ok := readInteger(&info)
	if !ok || len(version) > 0 || !info.ReadASN1Element(&subject, asn1.SEQUENCE) || !info.ReadASN1(&spki, asn1.SEQUENCE) ||
		!info.ReadASN1(&attrs, explicit0) || !info.Empty() {
		return nil, s, fmt.Errorf("%w: certification request", ErrDER)
	}
	name, ok1 := c.name(subject)
	alg, ok2 := algorithm(signatures, s.algorithm)
	keyAlg, key, size, ok3 := c.keyInfo(spki)
	list, ok4 := c.requestAttributes(attrs)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, s, fmt.Errorf("%w: name, key or attributes", ErrNoForm)
	}
	s.size = size
	return bytes.Join([][]byte{encodeInt(int64(typ)), alg, name, keyAlg, key, list}, nil), s, nil
}

func (c codec) requestAttributes(s cryptobyte.String) ([]byte, bool) {
	var items [][]byte
	ok := each(s, func(tag asn1.Tag, _, attr cryptobyte.String) bool {
		var oid []byte
		var set cryptobyte.String
		if tag != asn1.SEQUENCE || !attr.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) ||
			!attr.ReadASN1(&set, asn1.SET) || !attr.Empty() || !oneElement(set) {
			return false
		}
		code, known := requestAttributes.code(oid)
		if v, ok := c.requestValue(code, set); known && ok {
			items = append(items, encodeInt(code), v)
			return true
		}
		items = append(items, appendBytes(nil, oid), appendBytes(nil, set))
		return true
	})
	return array(items...), ok
}

// requestValue encodes a value in the form of its attribute.
func (c codec) requestValue(code int64, der cryptobyte.String) ([]byte, bool) {
	switch code {
	case requestExtensions:
		list, ok := only(der, asn1.SEQUENCE)
		if !ok {
			return nil, false
		}
		return c.extensions(list)
	case requestPassword:
		if text, ok := only(der, asn1.UTF8String); ok {
			return appendText(nil, text), validText(asn1.UTF8String, text)
		}
		text, ok := only(der, asn1.PrintableString)
		if c.native {
			return appendText(nil, text), ok
		}
		return appendText(appendHead(nil, majorTag, tagPrintable), text), ok && validText(asn1.PrintableString, text)
	}
	return c.statement(der)
}

func (c codec) statement(der cryptobyte.String) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var who cryptobyte.String
	if !ok || !s.ReadASN1(&who, asn1.SEQUENCE) {
		return nil, false
	}
	issuer, serial, ok := c.issuerAndSerial(who)
	if !ok || s.Empty() {
		return array(issuer, serial, encodeNull()), ok
	}
	cert, err := Options{Uncompressed: c.uncompressed}.FromDER(s)
	return array(issuer, serial, appendBytes(nil, cert)), err == nil
}
