package c509

import (
	"bytes"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Kinds of general names (§8.13). The positive ones are the tags of RFC 5280.
const (
	nameMAC       = -3
	nameMailbox   = -2
	nameHardware  = -1
	nameOther     = 0
	nameEmail     = 1
	nameDNS       = 2
	nameDirectory = 4
	nameURI       = 6
	nameIP        = 7
	nameOID       = 8
)

// otherNames is the registry of otherName's types that have a kind of their own.
var otherNames = registry{
	{nameMAC, "2b0601050507080c"},      // id-on-MACAddress
	{nameMailbox, "2b06010505070809"},  // id-on-SmtpUTF8Mailbox
	{nameHardware, "2b06010505070804"}, // id-on-hardwareModuleName
}

// generalNames encodes the elements of GeneralNames, or of GeneralSubtrees.
func (c codec) generalNames(s cryptobyte.String, subtrees bool) ([][]byte, bool) {
	var items [][]byte
	ok := each(s, func(tag asn1.Tag, element, content cryptobyte.String) bool {
		if subtrees {
			if tag != asn1.SEQUENCE || !content.ReadAnyASN1Element(&element, &tag) || !content.Empty() {
				return false // minimum and maximum are not used (RFC 5280 §4.2.1.10)
			}
			whole := element
			if !whole.ReadASN1(&content, tag) {
				return false
			}
		}
		kind, v, ok := c.generalName(tag, content, subtrees)
		items = append(items, encodeInt(kind), v)
		return ok
	})
	return items, ok && len(items) > 0
}

func (c codec) generalName(tag asn1.Tag, content cryptobyte.String, subtree bool) (int64, []byte, bool) {
	kind := int64(tag & 0x1f)
	constructed := kind == nameOther || kind == nameDirectory
	if tag&0xc0 != 0x80 || constructed != (tag&0x20 != 0) {
		return 0, nil, false
	}
	switch kind {
	case nameOther:
		return c.otherName(content)
	case nameEmail, nameDNS, nameURI:
		return kind, appendText(nil, content), ascii(content)
	case nameDirectory:
		v, ok := c.name(content)
		return kind, v, ok
	case nameIP:
		if subtree {
			content, ok := prefixed(content)
			return kind, appendBytes(nil, content), ok
		}
		return kind, appendBytes(nil, content), len(content) == 4 || len(content) == 16
	case nameOID:
		return kind, appendBytes(nil, content), validOID(content)
	}
	return 0, nil, false
}

// prefixed writes address and mask as address and length (RFC 9549 §2.2).
func prefixed(block []byte) ([]byte, bool) {
	if len(block) != 8 && len(block) != 32 {
		return nil, false
	}
	address, mask := block[:len(block)/2], block[len(block)/2:]
	length := 0
	for _, m := range mask {
		length += bits.OnesCount8(m)
	}
	return append(bytes.Clone(address), byte(length)), bytes.Equal(mask, prefixMask(len(mask), length))
}

func prefixMask(size, length int) []byte {
	mask := make([]byte, size)
	for i := range length {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

// otherName encodes the content of an otherName.
func (codec) otherName(s cryptobyte.String) (int64, []byte, bool) {
	var oid []byte
	var value cryptobyte.String
	if !s.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) ||
		!s.ReadASN1(&value, explicit0) || !s.Empty() || !oneElement(value) {
		return 0, nil, false
	}
	kind, _ := otherNames.code(oid)
	switch kind {
	case nameMAC:
		mac, ok := only(value, asn1.OCTET_STRING)
		return kind, appendBytes(nil, mac), ok && (len(mac) == 6 || len(mac) == 8)
	case nameMailbox:
		text, ok := only(value, asn1.UTF8String)
		return kind, appendText(nil, text), ok && validText(asn1.UTF8String, text)
	case nameHardware:
		module, ok := only(value, asn1.SEQUENCE)
		var hwType, serial []byte
		ok = ok && module.ReadASN1Bytes(&hwType, asn1.OBJECT_IDENTIFIER) && validOID(hwType) &&
			module.ReadASN1Bytes(&serial, asn1.OCTET_STRING) && module.Empty()
		return kind, array(appendBytes(nil, hwType), appendBytes(nil, serial)), ok
	}
	return nameOther, array(appendBytes(nil, oid), appendBytes(nil, value)), true
}

// generalNamesDER is the opposite of generalNames: the elements one after another.
func (c codec) generalNamesDER(it item, subtrees bool) ([]byte, error) {
	if !it.is(majorArray) || len(it.items) == 0 || len(it.items)%2 != 0 {
		return nil, fmt.Errorf("%w: general names", ErrForm)
	}
	var out []byte
	for i := 0; i < len(it.items); i += 2 {
		kind, ok := it.items[i].int()
		if !ok {
			return nil, fmt.Errorf("%w: general name", ErrForm)
		}
		der, err := c.generalNameDER(kind, it.items[i+1], subtrees)
		if err != nil {
			return nil, err
		}
		if subtrees {
			der = tlv(asn1.SEQUENCE, der)
		}
		out = append(out, der...)
	}
	return out, nil
}

func (c codec) generalNameDER(kind int64, v item, subtree bool) ([]byte, error) {
	tag := context0 | asn1.Tag(kind&0x1f)
	bad := fmt.Errorf("%w: general name %d", ErrForm, kind)
	switch kind {
	case nameMAC, nameMailbox, nameHardware, nameOther:
		return c.otherNameDER(kind, v)
	case nameEmail, nameDNS, nameURI:
		if !v.is(majorText) || !ascii(v.bytes) {
			return nil, bad
		}
		return tlv(tag, v.bytes), nil
	case nameDirectory:
		name, err := c.nameDER(v)
		return tlv(tag.Constructed(), name), err
	case nameIP:
		if !v.is(majorBytes) {
			return nil, bad
		}
		if subtree {
			return masked(tag, v.bytes)
		}
		if len(v.bytes) != 4 && len(v.bytes) != 16 {
			return nil, bad
		}
		return tlv(tag, v.bytes), nil
	case nameOID:
		if !v.is(majorBytes) || !validOID(v.bytes) {
			return nil, bad
		}
		return tlv(tag, v.bytes), nil
	}
	return nil, fmt.Errorf("%w: general name %d", ErrCode, kind)
}

// masked is the opposite of prefixed.
func masked(tag asn1.Tag, block []byte) ([]byte, error) {
	if len(block) != 5 && len(block) != 17 || int(block[len(block)-1]) > 8*(len(block)-1) {
		return nil, fmt.Errorf("%w: address block", ErrForm)
	}
	size := len(block) - 1
	return tlv(tag, block[:size], prefixMask(size, int(block[size]))), nil
}

func (codec) otherNameDER(kind int64, v item) ([]byte, error) {
	bad := fmt.Errorf("%w: otherName %d", ErrForm, kind)
	oid, _ := otherNames.der(kind)
	var value []byte
	switch kind {
	case nameMAC:
		if !v.is(majorBytes) || len(v.bytes) != 6 && len(v.bytes) != 8 {
			return nil, bad
		}
		value = tlv(asn1.OCTET_STRING, v.bytes)
	case nameMailbox:
		if !v.is(majorText) {
			return nil, bad
		}
		value = tlv(asn1.UTF8String, v.bytes)
	default: // an OID and bytes
		if !v.is(majorArray) || len(v.items) != 2 || !v.items[0].is(majorBytes) || !validOID(v.items[0].bytes) ||
			!v.items[1].is(majorBytes) {
			return nil, bad
		}
		inner, data := v.items[0].bytes, v.items[1].bytes
		if kind == nameHardware {
			value = tlv(asn1.SEQUENCE, tlv(asn1.OBJECT_IDENTIFIER, inner), tlv(asn1.OCTET_STRING, data))
			break
		}
		if oid, value = inner, data; !oneElement(value) {
			return nil, bad
		}
	}
	return tlv(explicit0, tlv(asn1.OBJECT_IDENTIFIER, oid), tlv(explicit0, value)), nil
}

// altName is SubjectAltName and IssuerAltName: one DNS name is just its text.
func (c codec) altName(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	items, ok := c.generalNames(s, false)
	if ok && len(items) == 2 && bytes.Equal(items[0], encodeInt(nameDNS)) {
		return items[1], true
	}
	return array(items...), ok
}

func (c codec) altNameDER(it item) ([]byte, error) {
	if it.is(majorText) {
		name, err := c.generalNameDER(nameDNS, it, false)
		return tlv(asn1.SEQUENCE, name), err
	}
	if n, ok := first(it.items).int(); ok && len(it.items) == 2 && n == nameDNS {
		return nil, fmt.Errorf("%w: a sole DNS name in an array", ErrForm)
	}
	names, err := c.generalNamesDER(it, false)
	return tlv(asn1.SEQUENCE, names), err
}
