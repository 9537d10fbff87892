package c509

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A Certificate is a C509 certificate that was read.
type Certificate struct {
	Type Type
	Raw  []byte // its array, also if it came as a sequence
	// DER is the X.509 certificate that a type 3 one re-encodes. Of a type 2 one it
	// is the same fields in X.509, for whoever reads those: its signature covers
	// Raw, so that DER does not verify, and must not be handed on.
	DER []byte

	signed
}

// certificateItems is how many items a certificate has (§3.1).
const certificateItems = 11

// ParseCertificate reads one certificate: the array, or the bare sequence that
// drafts before -20 had. It returns ErrSize, ErrCBOR, ErrForm, ErrCode or ErrPoint.
func ParseCertificate(b []byte) (*Certificate, error) {
	items, raw, err := fields(b, certificateItems)
	if err != nil {
		return nil, err
	}
	typ, c, err := typeOf(items[0])
	if err != nil {
		return nil, err
	}
	out := &Certificate{Type: typ, Raw: raw}
	if err := out.read(c, items); err != nil {
		return nil, err
	}
	if typ == Native {
		out.message = native(raw, items)
	}
	return out, nil
}

// fields returns the items of an array or bare sequence, and the array.
func fields(b []byte, n int) ([]item, []byte, error) {
	items, err := parseSequence(b)
	if err != nil {
		return nil, nil, err
	}
	raw := b
	switch {
	case len(items) == 1 && items[0].is(majorArray):
		items = items[0].items
	case len(items) > 0 && items[0].is(majorArray):
		return nil, nil, fmt.Errorf("%w: data after the array", ErrCBOR)
	default:
		raw = append(appendHead(nil, majorArray, uint64(len(items))), b...)
	}
	if len(items) != n {
		return nil, nil, fmt.Errorf("%w: %d items, not %d", ErrForm, len(items), n)
	}
	return items, raw, nil
}

func typeOf(it item) (Type, codec, error) {
	n, ok := it.int()
	if typ := Type(n); ok && (typ == Native || typ == Reencoded) {
		return typ, codec{native: typ == Native}, nil
	}
	return 0, codec{}, fmt.Errorf("%w: type %d", ErrCode, n)
}

// native returns what is signed natively: the items but the last, as a sequence.
func native(array []byte, items []item) []byte {
	return array[1 : len(array)-len(items[len(items)-1].raw)] // up to 23 items: one byte of header
}

func (out *Certificate) read(c codec, items []item) error {
	serial, err := serialDER(items[1])
	if err != nil {
		return fmt.Errorf("serial number: %w", err)
	}
	alg, err := algorithmDER(signatures, items[2])
	if err != nil {
		return err
	}
	issuer, subject, err := c.names(items[3], items[6])
	if err != nil {
		return err
	}
	validity, err := validityDER(items[4], items[5])
	if err != nil {
		return err
	}
	spki, err := c.keyInfoDER(items[7], items[8])
	if err != nil {
		return err
	}
	exts, err := c.extensionsDER(items[9])
	if err != nil {
		return err
	}
	if len(exts) > 0 {
		exts = tlv(explicit0|3, tlv(asn1.SEQUENCE, exts))
	}
	version := tlv(explicit0, integer([]byte{2})) // v3
	tbs := tlv(asn1.SEQUENCE, version, serial, alg, issuer, validity, subject, spki, exts)
	if err := out.sign(c, tbs, alg, spki, items[10]); err != nil {
		return err
	}
	out.DER = out.rebuild()
	return nil
}

// names reads issuer and subject; a null issuer is the subject.
func (c codec) names(i, s item) (issuer, subject []byte, err error) {
	if subject, err = c.nameDER(s); err != nil {
		return nil, nil, fmt.Errorf("subject: %w", err)
	}
	if i.null() {
		return subject, subject, nil
	}
	if issuer, err = c.nameDER(i); err != nil {
		return nil, nil, fmt.Errorf("issuer: %w", err)
	}
	if bytes.Equal(issuer, subject) {
		return nil, nil, fmt.Errorf("%w: issuer repeats the subject", ErrForm)
	}
	return issuer, subject, nil
}

func (c codec) keyInfoDER(alg, key item) ([]byte, error) {
	der, err := algorithmDER(keys, alg)
	if err != nil {
		return nil, err
	}
	code, known := alg.int()
	content, err := c.keyDER(code, known, key)
	return tlv(asn1.SEQUENCE, der, tlv(asn1.BIT_STRING, []byte{0}, content)), err
}

// keyInfo encodes the content of a SubjectPublicKeyInfo; size is that of its
// curve's coordinates, if any.
func (c codec) keyInfo(s cryptobyte.String) (alg, key []byte, size int, ok bool) {
	var der, bits cryptobyte.String
	if !s.ReadASN1Element(&der, asn1.SEQUENCE) || !s.ReadASN1(&bits, asn1.BIT_STRING) || !s.Empty() {
		return nil, nil, 0, false
	}
	content, whole := bitString(bits)
	alg, ok = algorithm(keys, der)
	if !ok || !whole {
		return nil, nil, 0, false
	}
	code, known := keys.code(der)
	if known {
		size = curves[code].size
	}
	key, ok = c.key(code, known, content)
	return alg, key, size, ok
}

// certificate encodes an X.509 certificate but for the signature, which follows
// from the rest for type 2.
func (c codec) certificate(typ Type, der []byte) (body []byte, s x509Signed, err error) {
	s, err = splitSigned(der)
	if err != nil {
		return nil, s, err
	}
	var version, serial, alg, issuer, validity, subject, spki cryptobyte.String
	tbs := s.content
	if !tbs.PeekASN1Tag(explicit0) {
		return nil, s, fmt.Errorf("%w: X.509 version 1", ErrNoForm)
	}
	if !tbs.ReadASN1Element(&version, explicit0) || !tbs.ReadASN1Element(&serial, asn1.INTEGER) ||
		!tbs.ReadASN1Element(&alg, asn1.SEQUENCE) || !tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!tbs.ReadASN1(&validity, asn1.SEQUENCE) || !tbs.ReadASN1Element(&subject, asn1.SEQUENCE) ||
		!tbs.ReadASN1(&spki, asn1.SEQUENCE) {
		return nil, s, fmt.Errorf("%w: certificate", ErrDER)
	}
	if !bytes.Equal(alg, s.algorithm) {
		return nil, s, fmt.Errorf("%w: two signature algorithms", ErrNoForm)
	}
	number, unsigned := readInteger(&serial)
	from, until, timed := validityItems(validity)
	if !unsigned || !timed {
		return nil, s, fmt.Errorf("%w: serial number or validity", ErrNoForm)
	}
	by, ok1 := c.name(issuer)
	to, ok2 := c.name(subject)
	if !ok1 || !ok2 {
		return nil, s, fmt.Errorf("%w: name", ErrNoForm)
	}
	if bytes.Equal(by, to) { // natively also if only the string types differ
		by = encodeNull()
	}
	sigAlg, ok1 := algorithm(signatures, alg)
	keyAlg, key, size, ok2 := c.keyInfo(spki)
	exts, ok3 := c.optionalExtensions(tbs)
	if !ok1 || !ok2 || !ok3 {
		return nil, s, fmt.Errorf("%w: key, extensions or unique identifiers", ErrNoForm)
	}
	s.size = size
	return bytes.Join([][]byte{
		encodeInt(int64(typ)), appendBytes(nil, number), sigAlg, by, from, until, to, keyAlg, key, exts,
	}, nil), s, nil
}

// optionalExtensions encodes what follows the key in a TBSCertificate.
func (c codec) optionalExtensions(rest cryptobyte.String) ([]byte, bool) {
	if rest.Empty() {
		return array(), true
	}
	var wrapped cryptobyte.String
	if !rest.ReadASN1(&wrapped, explicit0|3) || !rest.Empty() {
		return nil, false
	}
	list, ok := only(wrapped, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	return c.extensions(list)
}
