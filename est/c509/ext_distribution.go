package c509

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// distribution is CRLDistributionPoints and FreshestCRL: URIs, perhaps with
// reasons and the name of the CRL's issuer.
func (c codec) distribution(der []byte) ([]byte, bool) {
	s, ok := only(der, asn1.SEQUENCE)
	var points [][]byte
	var sole []byte // of the last point, if a URI is all it has
	ok = ok && each(s, func(tag asn1.Tag, _, point cryptobyte.String) bool {
		uris, tail, ok := c.point(point)
		if !ok || tag != asn1.SEQUENCE {
			return false
		}
		full := array(uris...)
		sole = nil
		if len(uris) == 1 {
			full = uris[0]
			if isNull(tail) {
				sole = full
			}
		}
		points = append(points, array(append([][]byte{full}, tail...)...))
		return true
	})
	if len(points) == 1 && sole != nil {
		return sole, ok
	}
	return array(points...), ok && len(points) > 0
}

func isNull(items [][]byte) bool {
	for _, it := range items {
		if len(it) != 1 || it[0] != encodeNull()[0] {
			return false
		}
	}
	return true
}

// point reads one DistributionPoint; tail is reasons and issuer.
func (c codec) point(s cryptobyte.String) (uris, tail [][]byte, ok bool) {
	var dp, full, reasons, issuer cryptobyte.String
	var hasReasons, hasIssuer bool
	if !s.ReadASN1(&dp, explicit0) || !dp.ReadASN1(&full, explicit0) || !dp.Empty() ||
		!s.ReadOptionalASN1(&reasons, &hasReasons, context0|1) ||
		!s.ReadOptionalASN1(&issuer, &hasIssuer, explicit0|2) || !s.Empty() {
		return nil, nil, false
	}
	ok = each(full, func(tag asn1.Tag, _, uri cryptobyte.String) bool {
		uris = append(uris, appendText(nil, uri))
		return tag == context0|nameURI && ascii(uri)
	})
	tail = [][]byte{encodeNull(), encodeNull()}
	if hasReasons {
		n, some := flags(reasons)
		tail[0], ok = appendHead(nil, majorUint, n), ok && some
	}
	if hasIssuer {
		name, one := only(issuer, explicit0|nameDirectory)
		encoded, named := c.name(name)
		tail[1], ok = encoded, ok && one && named
	}
	return uris, tail, ok && len(uris) > 0
}

func (c codec) distributionDER(it item) ([]byte, error) {
	if it.is(majorText) {
		return sequence([]item{{items: []item{it, nullItem, nullItem}, major: majorArray}}, c.pointDER)
	}
	if !it.is(majorArray) || len(it.items) == 0 {
		return nil, fmt.Errorf("%w: distribution points", ErrForm)
	}
	if p := it.items[0].items; len(it.items) == 1 && len(p) == 3 && p[0].is(majorText) && p[1].null() && p[2].null() {
		return nil, fmt.Errorf("%w: a sole distribution point in an array", ErrForm)
	}
	return sequence(it.items, c.pointDER)
}

var nullItem = item{major: majorSimple, n: simpleNull}

func (c codec) pointDER(it item) ([]byte, error) {
	if !it.is(majorArray) || len(it.items) != 3 {
		return nil, fmt.Errorf("%w: distribution point", ErrForm)
	}
	uris := it.items[:1]
	if uris[0].is(majorArray) {
		if uris = uris[0].items; len(uris) < 2 {
			return nil, fmt.Errorf("%w: a sole URI in an array", ErrForm)
		}
	}
	var full, reasons, issuer []byte
	for _, uri := range uris {
		der, err := c.generalNameDER(nameURI, uri, false)
		if err != nil {
			return nil, err
		}
		full = append(full, der...)
	}
	if v := it.items[1]; !v.null() {
		der, err := flagString(context0|1, v)
		if err != nil {
			return nil, err
		}
		reasons = der
	}
	if v := it.items[2]; !v.null() {
		name, err := c.nameDER(v)
		if err != nil {
			return nil, err
		}
		issuer = tlv(explicit0|2, tlv(explicit0|nameDirectory, name))
	}
	return tlv(asn1.SEQUENCE, tlv(explicit0, tlv(explicit0, full)), reasons, issuer), nil
}
