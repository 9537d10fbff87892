package c509

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxIntAddress is how long unused bits and address may be, in bytes, for a
// family whose addresses are written as integers (§3.3).
const maxIntAddress = 8

// addresses is IPAddrBlocks (RFC 3779 §2.2.3) in either version: family, subsequent
// family or null, and addresses or null for inheritance.
func (codec) addresses(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var items [][]byte
	ok = ok && each(s, func(tag asn1.Tag, _, family cryptobyte.String) bool {
		var afi, choice cryptobyte.String
		if tag != asn1.SEQUENCE || !family.ReadASN1(&afi, asn1.OCTET_STRING) || len(afi) < 2 || len(afi) > 3 {
			return false
		}
		safi := encodeNull()
		if len(afi) == 3 {
			safi = appendHead(nil, majorUint, uint64(afi[2]))
		}
		items = append(items, appendHead(nil, majorUint, uint64(binary.BigEndian.Uint16(afi))), safi)
		if family.PeekASN1Tag(asn1.NULL) {
			items = append(items, encodeNull())
			return family.ReadASN1(&choice, asn1.NULL) && choice.Empty() && family.Empty()
		}
		if !family.ReadASN1(&choice, asn1.SEQUENCE) || !family.Empty() {
			return false
		}
		list, ok := addressList(choice)
		items = append(items, list)
		return ok
	})
	return array(items...), ok && len(items) > 0
}

// addressList encodes addressesOrRanges.
func addressList(s cryptobyte.String) ([]byte, bool) {
	var list [][][]byte // one address, or two ends of a range
	asInts := true
	ok := each(s, func(tag asn1.Tag, element, content cryptobyte.String) bool {
		if tag != asn1.SEQUENCE {
			content = element
		}
		var ends [][]byte
		ok := each(content, func(tag asn1.Tag, _, bits cryptobyte.String) bool {
			ends = append(ends, bits)
			asInts = asInts && len(bits) <= maxIntAddress
			return tag == asn1.BIT_STRING && validBits(bits)
		})
		list = append(list, ends)
		return ok && (len(ends) == 2) == (tag == asn1.SEQUENCE) && len(ends) <= 2
	})
	if !ok || len(list) == 0 {
		return nil, false
	}
	encode := func(bits []byte) []byte { return appendBytes(nil, bits) }
	if asInts {
		var last int64
		encode = func(bits []byte) []byte {
			var wide [8]byte
			copy(wide[8-len(bits):], bits)
			wide[8-len(bits)]++
			n := int64(binary.BigEndian.Uint64(wide[:])) //nolint:gosec // below 2^60
			out := encodeInt(n - last)
			last = n
			return out
		}
	}
	return encodeRanges(list, encode), true
}

// encodeRanges writes each end in order, the two of a range as an array.
func encodeRanges(list [][][]byte, encode func([]byte) []byte) []byte {
	var items [][]byte
	for _, ends := range list {
		if len(ends) == 1 {
			items = append(items, encode(ends[0]))
			continue
		}
		low, high := encode(ends[0]), encode(ends[1])
		items = append(items, array(low, high))
	}
	return array(items...)
}

// validBits says whether b is unused bits and octets of a BIT STRING.
func validBits(b []byte) bool {
	return len(b) > 0 && b[0] < 8 && (b[0] == 0 || len(b) > 1 && b[len(b)-1]&(1<<b[0]-1) == 0)
}

func (codec) addressesDER(it item) ([]byte, error) {
	if !it.is(majorArray) || len(it.items) == 0 || len(it.items)%3 != 0 {
		return nil, fmt.Errorf("%w: address blocks", ErrForm)
	}
	var out []byte
	for i := 0; i < len(it.items); i += 3 {
		family, err := familyDER(it.items[i], it.items[i+1], it.items[i+2])
		if err != nil {
			return nil, err
		}
		out = append(out, family...)
	}
	return tlv(asn1.SEQUENCE, out), nil
}

func familyDER(afi, safi, list item) ([]byte, error) {
	if !afi.is(majorUint) || afi.n > 0xffff || !safi.null() && (!safi.is(majorUint) || safi.n > 0xff) {
		return nil, fmt.Errorf("%w: address family", ErrForm)
	}
	family := binary.BigEndian.AppendUint64(nil, afi.n)[6:]
	if !safi.null() {
		family = append(family, byte(safi.n)) //nolint:gosec // checked above
	}
	if list.null() {
		return tlv(asn1.SEQUENCE, tlv(asn1.OCTET_STRING, family), tlv(asn1.NULL)), nil
	}
	read := bytesAddress
	if !first(list.items).is(majorBytes) && !first(first(list.items).items).is(majorBytes) {
		read = intAddress()
	}
	blocks, err := rangesDER(list, read)
	return tlv(asn1.SEQUENCE, tlv(asn1.OCTET_STRING, family), blocks), err
}

// rangesDER reads an array of single values and of arrays with two.
func rangesDER(list item, read func(item) ([]byte, error)) ([]byte, error) {
	if !list.is(majorArray) || len(list.items) == 0 {
		return nil, fmt.Errorf("%w: ranges", ErrForm)
	}
	return sequence(list.items, func(it item) ([]byte, error) {
		if !it.is(majorArray) {
			return read(it)
		}
		if len(it.items) != 2 {
			return nil, fmt.Errorf("%w: range", ErrForm)
		}
		return sequence(it.items, read)
	})
}

func bytesAddress(it item) ([]byte, error) {
	if !it.is(majorBytes) || !validBits(it.bytes) {
		return nil, fmt.Errorf("%w: address", ErrForm)
	}
	return tlv(asn1.BIT_STRING, it.bytes), nil
}

// intAddress reads addresses of which each but the first is a difference.
func intAddress() func(item) ([]byte, error) {
	var last int64
	return func(it item) ([]byte, error) {
		n, ok := it.int()
		if last += n; !ok || n > 1<<60 || n < -1<<60 || last <= 0 {
			return nil, fmt.Errorf("%w: address", ErrForm)
		}
		bits := integer(binary.BigEndian.AppendUint64(nil, uint64(last)))[2:]
		if bits[0]--; bits[0] > 7 || len(bits) > maxIntAddress || !validBits(bits) {
			return nil, fmt.Errorf("%w: address", ErrForm)
		}
		return tlv(asn1.BIT_STRING, bits), nil
	}
}

// autonomous is ASIdentifiers without rdi (RFC 3779 §3.2.3).
func (codec) autonomous(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var choice cryptobyte.String
	if !ok || !s.ReadASN1(&choice, explicit0) || !s.Empty() {
		return nil, false
	}
	if null, ok := only(choice, asn1.NULL); ok {
		return encodeNull(), null.Empty()
	}
	ids, ok := only(choice, asn1.SEQUENCE)
	var last uint64
	var items [][]byte
	number := func(s *cryptobyte.String) ([]byte, bool) {
		m, ok := readInteger(s)
		n, fits := small(m)
		out := appendHead(nil, majorUint, n-last)
		ok = ok && fits && n >= last
		last = n
		return out, ok
	}
	ok = ok && each(ids, func(tag asn1.Tag, element, content cryptobyte.String) bool {
		if tag != asn1.SEQUENCE {
			one, ok := number(&element)
			items = append(items, one)
			return ok
		}
		low, ok := number(&content)
		if !ok {
			return false
		}
		high, ok := number(&content)
		items = append(items, array(low, high))
		return ok && content.Empty()
	})
	return array(items...), ok && len(items) > 0
}

func (codec) autonomousDER(it item) ([]byte, error) {
	if it.null() {
		return tlv(asn1.SEQUENCE, tlv(explicit0, tlv(asn1.NULL))), nil
	}
	var last uint64
	ids, err := rangesDER(it, func(it item) ([]byte, error) {
		if !it.is(majorUint) || it.n >= 1<<32 {
			return nil, fmt.Errorf("%w: AS number", ErrForm)
		}
		last += it.n
		return smallInteger(asn1.INTEGER, item{major: majorUint, n: last})
	})
	return tlv(asn1.SEQUENCE, tlv(explicit0, ids)), err
}

// directory is SubjectDirectoryAttributes, which drafts after -20 have no form
// for: it is written as OID and bytes, which all of them read.
func (codec) directory([]byte) ([]byte, bool) { return nil, false }

func (c codec) directoryDER(it item) ([]byte, error) {
	return pairs(it, func(id, values item) ([]byte, error) {
		if !values.is(majorArray) || len(values.items) == 0 {
			return nil, fmt.Errorf("%w: directory attribute", ErrForm)
		}
		var oid, set []byte
		for _, v := range values.items {
			kind, value, err := c.attributeParts(id, v)
			if err != nil {
				return nil, err
			}
			oid, set = kind, append(set, value...)
		}
		return tlv(asn1.SEQUENCE, oid, tlv(asn1.SET, set)), nil
	})
}
