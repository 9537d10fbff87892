package est

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A list is what the CRLs of one issuing certificate are made of: their entries,
// encoded once, when the certificate was revoked or the list was loaded. The
// ledger's lock guards it.
type list struct {
	entries []byte // in DER, one after the other
	ends    []listEnd
	changed int64        // counts the changes
	loading bool         // entries are being read from the Store
	late    []Revocation // revoked meanwhile
	failed  error        // an entry that could not be encoded: no CRL may leave it out in silence
}

// A listEnd is where an entry ends, until when it is listed, and what its shard
// follows from.
type listEnd struct {
	end   int
	until int64 // Unix seconds: notAfter
	tail  byte  // last byte of the serial number
}

// add appends r, or keeps it until the list is loaded.
func (l *list) add(r Revocation) {
	if l.loading {
		l.late = append(l.late, r)
		return
	}
	l.put(r)
}

func (l *list) put(r Revocation) {
	entries, tail, err := appendEntry(l.entries, r)
	if err != nil {
		l.failed = err
		return
	}
	l.entries = entries
	l.ends = append(l.ends, listEnd{end: len(entries), until: r.NotAfter.Unix(), tail: tail})
	l.changed++
}

// prune forgets the entries of certificates that expired before the given time.
func (l *list) prune(before time.Time) {
	limit := before.Unix()
	gone := 0
	for _, e := range l.ends {
		if e.until < limit {
			gone++
		}
	}
	if gone == 0 {
		return
	}
	l.entries = l.pick(func(e listEnd) bool { return e.until >= limit })
	kept, end, start := l.ends[:0:0], 0, 0
	for _, e := range l.ends {
		length := e.end - start
		start = e.end
		if e.until >= limit {
			end += length
			kept = append(kept, listEnd{end: end, until: e.until, tail: e.tail})
		}
	}
	l.ends = kept
	l.changed++
}

// pick returns the entries that want selects, one after the other.
func (l *list) pick(want func(listEnd) bool) []byte {
	out := make([]byte, 0, len(l.entries))
	start := 0
	for _, e := range l.ends {
		if want(e) {
			out = append(out, l.entries[start:e.end]...)
		}
		start = e.end
	}
	return out
}

// shard returns the entries of one of shards parts, and how many there are.
func (l *list) shard(number, shards int) (entries []byte, n int) {
	if shards <= 1 {
		return append(make([]byte, 0, len(l.entries)), l.entries...), len(l.ends)
	}
	entries = l.pick(func(e listEnd) bool {
		in := int(e.tail)%shards == number
		if in {
			n++
		}
		return in
	})
	return entries, n
}

// appendEntry encodes one of revokedCertificates (RFC 5280 §5.1.2.6). It returns
// the last byte of the serial number too.
func appendEntry(to []byte, r Revocation) (out []byte, tail byte, err error) {
	serial, err := serialBytes(r.Serial)
	if err != nil {
		return to, 0, err
	}
	code, err := r.Reason.Code()
	if err != nil {
		return to, 0, fmt.Errorf("inventory: %w", err)
	}
	b := cryptobyte.NewBuilder(to)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(serial))
		addTime(b, r.At)
		if code == 0 { // "should be absent" (RFC 5280 §5.3.1)
			return
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addExtension(b, oidReasonCode, false, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(code)) })
		})
	})
	out, err = b.Bytes()
	if err != nil {
		return to, 0, fmt.Errorf("CRL entry: %w", err)
	}
	return out, serial[len(serial)-1], nil
}

// maxSerial is the longest serial number (RFC 5280 §4.1.2.2), in bytes.
const maxSerial = 20

// serialBytes reads a serial number in hex.
func serialBytes(text string) ([]byte, error) {
	if len(text)%2 == 1 {
		text = "0" + text
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 || len(b) > maxSerial {
		return nil, fmt.Errorf("inventory: serial %q", text)
	}
	return b, nil
}

// addTime adds a Time: UTCTime through 2049 (RFC 5280 §5.1.2.4).
func addTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC().Truncate(time.Second)
	if t.Year() >= 1950 && t.Year() < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}
