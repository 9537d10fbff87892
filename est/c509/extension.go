package c509

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// extKeyUsage is the code of keyUsage, which alone is not even an array (§3.1.10).
const extKeyUsage = 2

// An extensionForm is how the values of one extension are written (§3.3).
type extensionForm struct {
	encode func(c codec, der []byte) ([]byte, bool) // of extnValue's content
	decode func(c codec, it item) ([]byte, error)
}

// extensionIDs is the registry of extensions (§8.8).
var extensionIDs = registry{
	{1, "551d0e"}, // subjectKeyIdentifier
	{extKeyUsage, "551d0f"},
	{3, "551d11"},                // subjectAltName
	{4, "551d13"},                // basicConstraints
	{5, "551d1f"},                // cRLDistributionPoints
	{6, "551d20"},                // certificatePolicies
	{7, "551d23"},                // authorityKeyIdentifier
	{8, "551d25"},                // extKeyUsage
	{9, "2b06010505070101"},      // authorityInfoAccess
	{24, "551d09"},               // subjectDirectoryAttributes, in drafts up to -20
	{25, "551d12"},               // issuerAltName
	{26, "551d1e"},               // nameConstraints
	{27, "551d21"},               // policyMappings
	{28, "551d24"},               // policyConstraints
	{29, "551d2e"},               // freshestCRL
	{30, "551d36"},               // inhibitAnyPolicy
	{31, "2b0601050507010b"},     // subjectInfoAccess
	{32, "2b06010505070107"},     // id-pe-ipAddrBlocks
	{33, "2b06010505070108"},     // id-pe-autonomousSysIds
	{34, "2b0601050507011c"},     // id-pe-ipAddrBlocks-v2
	{35, "2b0601050507011d"},     // id-pe-autonomousSysIds-v2
	{36, "2b0601050507300105"},   // id-pkix-ocsp-nocheck
	{37, "2b06010401d679020403"}, // precertificate poison
	{38, "2b06010505070118"},     // id-pe-tlsfeature
}

// extensionForms are the forms by code.
var extensionForms = map[int64]extensionForm{
	1:           {codec.octets, codec.octetsDER},
	extKeyUsage: {codec.keyUsage, codec.keyUsageDER},
	3:           {codec.altName, codec.altNameDER},
	4:           {codec.basicConstraints, codec.basicConstraintsDER},
	5:           {codec.distribution, codec.distributionDER},
	6:           {codec.policies, codec.policiesDER},
	7:           {codec.authorityKey, codec.authorityKeyDER},
	8:           {codec.usages, codec.usagesDER},
	9:           {codec.access, codec.accessDER},
	24:          {codec.directory, codec.directoryDER},
	25:          {codec.altName, codec.altNameDER},
	26:          {codec.constraints, codec.constraintsDER},
	27:          {codec.mappings, codec.mappingsDER},
	28:          {codec.policyLimits, codec.policyLimitsDER},
	29:          {codec.distribution, codec.distributionDER},
	30:          {codec.number, codec.numberDER},
	31:          {codec.access, codec.accessDER},
	32:          {codec.addresses, codec.addressesDER},
	33:          {codec.autonomous, codec.autonomousDER},
	34:          {codec.addresses, codec.addressesDER},
	35:          {codec.autonomous, codec.autonomousDER},
	36:          {codec.nothing, codec.nothingDER},
	37:          {codec.nothing, codec.nothingDER},
	38:          {codec.features, codec.featuresDER},
}

// extensions encodes the content of Extensions (§3.1.10).
func (c codec) extensions(content cryptobyte.String) ([]byte, bool) {
	var items [][]byte
	ok := each(content, func(tag asn1.Tag, _, ext cryptobyte.String) bool {
		var oid, value []byte
		var critical bool
		if tag != asn1.SEQUENCE || !ext.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) ||
			ext.PeekASN1Tag(asn1.BOOLEAN) && !ext.ReadASN1Boolean(&critical) ||
			!ext.ReadASN1Bytes(&value, asn1.OCTET_STRING) || !ext.Empty() {
			return false
		}
		id, v := c.extension(oid, value, critical)
		items = append(items, id, v)
		return true
	})
	if !ok {
		return nil, false
	}
	if len(items) == 2 {
		if sole, ok := soleKeyUsage(items[0], items[1]); ok {
			return sole, true
		}
	}
	return array(items...), true
}

// soleKeyUsage gives value the sign of id if that is keyUsage's. A critical one of
// no bits would lose its sign, and is written as OID and bytes.
func soleKeyUsage(id, value []byte) ([]byte, bool) {
	code, err := parse(id)
	n, isCode := code.int()
	if err != nil || !isCode || max(n, -n) != extKeyUsage {
		return nil, false
	}
	it, err := parse(value)
	bits, fits := it.int()
	if err != nil || !fits || n > 0 {
		return value, true
	}
	if bits == 0 {
		oid, _ := extensionIDs.der(extKeyUsage)
		return array(appendBytes(nil, oid), array(appendBytes(nil, tlv(asn1.BIT_STRING, []byte{0})))), true
	}
	return encodeInt(-bits), true
}

// extension encodes one: with its code if that rebuilds the very same bytes, else
// as OID and bytes.
func (c codec) extension(oid, value []byte, critical bool) (id, v []byte) {
	code, known := extensionIDs.code(oid)
	if v, ok := c.value(code, value); known && ok {
		if critical {
			code = -code
		}
		return encodeInt(code), v
	}
	v = appendBytes(nil, value)
	if critical {
		v = array(v)
	}
	return appendBytes(nil, oid), v
}

func (c codec) value(code int64, der []byte) ([]byte, bool) {
	form, ok := extensionForms[code]
	if !ok {
		return nil, false
	}
	v, ok := form.encode(c, der)
	if !ok {
		return nil, false
	}
	it, err := parse(v)
	if err != nil {
		return nil, false
	}
	back, err := form.decode(c, it)
	return v, err == nil && (c.native || bytes.Equal(back, der))
}

// extensionsDER returns the content of Extensions.
func (c codec) extensionsDER(it item) ([]byte, error) {
	if n, ok := it.int(); ok { // keyUsage alone
		return c.extensionDER(item{major: it.major, n: argument(it.major, extKeyUsage)},
			item{major: majorUint, n: uint64(max(n, -n))}) //nolint:gosec // what overflows is refused
	}
	if !it.is(majorArray) || len(it.items)%2 != 0 {
		return nil, fmt.Errorf("%w: extensions", ErrForm)
	}
	if n, ok := first(it.items).int(); ok && len(it.items) == 2 && max(n, -n) == extKeyUsage {
		return nil, fmt.Errorf("%w: a sole keyUsage in an array", ErrForm)
	}
	var out []byte
	for i := 0; i < len(it.items); i += 2 {
		ext, err := c.extensionDER(it.items[i], it.items[i+1])
		if err != nil {
			return nil, err
		}
		out = append(out, ext...)
	}
	return out, nil
}

// argument returns the argument of a positive or negative integer of that size.
func argument(major byte, n uint64) uint64 {
	if major == majorNegative {
		return n - 1
	}
	return n
}

func (c codec) extensionDER(id, v item) ([]byte, error) {
	n, ok := id.int()
	if !ok {
		return c.otherExtension(id, v)
	}
	code := max(n, -n)
	form, known := extensionForms[code]
	oid, named := extensionIDs.der(code)
	if !known || !named {
		return nil, fmt.Errorf("%w: extension %d", ErrCode, n)
	}
	der, err := form.decode(c, v)
	if err != nil {
		return nil, fmt.Errorf("extension %d: %w", n, err)
	}
	return extensionTLV(tlv(asn1.OBJECT_IDENTIFIER, oid), der, n < 0), nil
}

// otherExtension reads one that is OID and bytes.
func (c codec) otherExtension(id, v item) ([]byte, error) {
	if !id.is(majorBytes) || !validOID(id.bytes) {
		return nil, fmt.Errorf("%w: object identifier", ErrForm)
	}
	critical := v.is(majorArray) && len(v.items) == 1
	if critical {
		v = v.items[0]
	}
	if !v.is(majorBytes) {
		return nil, fmt.Errorf("%w: value of an extension", ErrForm)
	}
	return extensionTLV(tlv(asn1.OBJECT_IDENTIFIER, id.bytes), v.bytes, critical), nil
}

func extensionTLV(oid, value []byte, critical bool) []byte {
	var flag []byte
	if critical {
		flag = tlv(asn1.BOOLEAN, []byte{0xff})
	}
	return tlv(asn1.SEQUENCE, oid, flag, tlv(asn1.OCTET_STRING, value))
}
