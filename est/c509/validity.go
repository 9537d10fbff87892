package c509

import (
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Layouts of RFC 5280 §4.1.2.5, and where they change.
const (
	layoutUTC     = "060102150405Z"
	layoutGeneral = "20060102150405Z"
	firstGeneral  = 2524608000   // 2050-01-01
	noExpiry      = 253402300799 // 9999-12-31 23:59:59
)

// validityItems encodes the content of a Validity (§3.1.5).
func validityItems(s cryptobyte.String) (from, until []byte, ok bool) {
	a, ok1 := readTime(&s)
	b, ok2 := readTime(&s)
	from, until = appendHead(nil, majorUint, a), appendHead(nil, majorUint, b)
	if b == noExpiry {
		until = encodeNull()
	}
	return from, until, ok1 && ok2 && s.Empty()
}

// readTime reads a time from 1970 on.
func readTime(s *cryptobyte.String) (uint64, bool) {
	var text cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&text, &tag) {
		return 0, false
	}
	layout := layoutGeneral
	if tag == asn1.UTCTime { // years of two digits from 50 on are of the last century
		century := "20"
		if len(text) > 0 && text[0] >= '5' {
			century = "19"
		}
		text = append([]byte(century), text...)
	} else if tag != asn1.GeneralizedTime {
		return 0, false
	}
	t, err := time.Parse(layout, string(text))
	if err != nil || t.Unix() < 0 {
		return 0, false
	}
	return uint64(t.Unix()), true //nolint:gosec // not negative
}

func validityDER(from, until item) ([]byte, error) {
	if until.null() {
		until = item{major: majorUint, n: noExpiry}
	} else if until.n == noExpiry {
		return nil, fmt.Errorf("%w: no expiry is null", ErrForm)
	}
	a, err := timeDER(from)
	if err != nil {
		return nil, err
	}
	b, err := timeDER(until)
	return tlv(asn1.SEQUENCE, a, b), err
}

func timeDER(it item) ([]byte, error) {
	if !it.is(majorUint) || it.n > noExpiry {
		return nil, fmt.Errorf("%w: time", ErrForm)
	}
	t := time.Unix(int64(it.n), 0).UTC()
	if it.n < firstGeneral {
		return tlv(asn1.UTCTime, []byte(t.Format(layoutUTC))), nil
	}
	return tlv(asn1.GeneralizedTime, []byte(t.Format(layoutGeneral))), nil
}
