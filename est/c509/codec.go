package c509

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A codec translates parts of one structure. Functions towards CBOR say false
// for what has no form of its own there, which often still can be carried as
// bytes.
type codec struct {
	native       bool // type 2
	uncompressed bool // leave points as they are
}

// identifier encodes an OBJECT IDENTIFIER's content as integer or ~oid.
func identifier(r registry, oid []byte) []byte {
	if code, ok := r.code(oid); ok {
		return encodeInt(code)
	}
	return appendBytes(nil, oid)
}

// object is the opposite of identifier: the whole OBJECT IDENTIFIER.
func (c codec) object(r registry, it item) ([]byte, error) {
	if n, ok := it.int(); ok {
		oid, known := r.der(n)
		if !known {
			return nil, fmt.Errorf("%w: %d", ErrCode, n)
		}
		return tlv(asn1.OBJECT_IDENTIFIER, oid), nil
	}
	return c.oid(r, it)
}

// oid reads a ~oid. Natively there is one form for what has a code (§3.7).
func (c codec) oid(r registry, it item) ([]byte, error) {
	if !it.is(majorBytes) || !validOID(it.bytes) {
		return nil, fmt.Errorf("%w: object identifier", ErrForm)
	}
	if _, known := r.code(it.bytes); known && c.native {
		return nil, fmt.Errorf("%w: object identifier that has a code", ErrForm)
	}
	return tlv(asn1.OBJECT_IDENTIFIER, it.bytes), nil
}

// algorithm encodes an AlgorithmIdentifier (§3.1.3). Without parameters it is a
// bare ~oid, as the CDDL has it.
func algorithm(r registry, der []byte) ([]byte, bool) {
	if code, ok := r.code(der); ok {
		return encodeInt(code), true
	}
	s, ok := only(der, asn1.SEQUENCE)
	var oid []byte
	if !ok || !s.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) {
		return nil, false
	}
	if s.Empty() {
		return appendBytes(nil, oid), true
	}
	return array(appendBytes(nil, oid), appendBytes(nil, s)), true
}

// algorithmDER is the opposite of algorithm. An array of the OID alone, which the
// draft's text has, is read as well.
func algorithmDER(r registry, it item) ([]byte, error) {
	if n, ok := it.int(); ok {
		out, known := r.der(n)
		if !known {
			return nil, fmt.Errorf("%w: algorithm %d", ErrCode, n)
		}
		return out, nil
	}
	oid, parameters := it, []byte(nil)
	if it.is(majorArray) && len(it.items) > 0 && len(it.items) <= 2 {
		oid = it.items[0]
		if len(it.items) == 2 {
			if parameters = it.items[1].bytes; !it.items[1].is(majorBytes) || !oneElement(parameters) {
				return nil, fmt.Errorf("%w: parameters of an algorithm", ErrForm)
			}
		}
	}
	if !oid.is(majorBytes) || !validOID(oid.bytes) {
		return nil, fmt.Errorf("%w: algorithm", ErrForm)
	}
	out := tlv(asn1.SEQUENCE, tlv(asn1.OBJECT_IDENTIFIER, oid.bytes), parameters)
	if _, known := r.code(out); known {
		return nil, fmt.Errorf("%w: algorithm that has a code", ErrForm)
	}
	return out, nil
}

// oneElement says whether b is one DER element.
func oneElement(b []byte) bool {
	n := 0
	return each(b, func(asn1.Tag, cryptobyte.String, cryptobyte.String) bool { n++; return true }) && n == 1
}
