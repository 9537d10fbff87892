package revokelog

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"time"

	"steward/est"
)

// A record is of one size: kind, code of the reason, length of the serial number,
// a byte that is zero, serial number, subject, issuer, when, end of validity,
// number, key, checksum. Numbers are big-endian, times Unix microseconds.
const (
	recordSize = 4 + maxSerial + 32 + 32 + 8 + 8 + 8 + 32 + 4
	maxSerial  = 20 // RFC 5280 §4.1.2.2
)

// kindClosed is the record of a process that ended in order.
const kindClosed est.EntryKind = 255

// appendRecord adds the record of e.
func appendRecord(to []byte, e est.Entry) ([]byte, error) {
	b := make([]byte, recordSize)
	b[0] = byte(e.Kind)
	subject := e.Subject
	if e.Kind == est.EntryRevoked {
		r := e.Revocation
		code, err := r.Reason.Code()
		if err != nil {
			return nil, err
		}
		serial := serialOf(r.Serial)
		subject = r.Hash
		b[1], b[2] = byte(code), byte(len(serial)) //nolint:gosec // G115: at most 9 and maxSerial
		copy(b[4:], serial)
		copy(b[4+maxSerial+32:], r.Issuer[:])
		copy(b[4+maxSerial+88:], r.SPKI[:])
		binary.BigEndian.PutUint64(b[4+maxSerial+64:], uint64(r.At.UnixMicro()))
		binary.BigEndian.PutUint64(b[4+maxSerial+72:], uint64(r.NotAfter.UnixMicro()))
	}
	copy(b[4+maxSerial:], subject[:])
	binary.BigEndian.PutUint64(b[4+maxSerial+80:], uint64(e.Number)) //nolint:gosec // G115: any bits
	binary.BigEndian.PutUint32(b[recordSize-4:], checksum(b))
	return append(to, b...), nil
}

// serialOf returns a serial number's bytes; none for what a certificate of our own
// never has, and some factory's may: 0, a negative one, one that is too long. Such are
// known by their hash alone.
func serialOf(text string) []byte {
	serial, err := hex.DecodeString(strings.Repeat("0", len(text)%2) + text)
	if err != nil || len(serial) == 0 || len(serial) > maxSerial || serial[0] == 0 {
		return nil
	}
	return serial
}

var table = crc32.MakeTable(crc32.Castagnoli)

// checksum is over all but itself. A record of zeros has another.
func checksum(b []byte) uint32 { return ^crc32.Checksum(b[:recordSize-4], table) }

// parseRecord reads one record; false if it is damaged.
func parseRecord(b []byte) (est.Entry, bool) {
	if binary.BigEndian.Uint32(b[recordSize-4:]) != checksum(b) || b[2] > maxSerial || b[3] != 0 {
		return est.Entry{}, false
	}
	e := est.Entry{Kind: est.EntryKind(b[0]), Number: number(b[4+maxSerial+80:])}
	copy(e.Subject[:], b[4+maxSerial:])
	switch e.Kind {
	case est.EntryDeleted, est.EntryNumber, est.EntryPassword, kindClosed:
		return e, true
	case est.EntryRevoked:
	default:
		return e, false
	}
	reason, err := est.ReasonOf(int(b[1]))
	if err != nil || b[2] > 0 && b[4] == 0 { // serial numbers are positive, and in their shortest form
		return e, false
	}
	e.Revocation = est.Revocation{
		Hash: e.Subject, Serial: strings.TrimPrefix(hex.EncodeToString(b[4:4+b[2]]), "0"), Reason: reason,
		At: time.UnixMicro(number(b[4+maxSerial+64:])).UTC(), NotAfter: time.UnixMicro(number(b[4+maxSerial+72:])).UTC(),
	}
	copy(e.Revocation.Issuer[:], b[4+maxSerial+32:])
	copy(e.Revocation.SPKI[:], b[4+maxSerial+88:])
	e.Subject = est.Hash{}
	return e, true
}

func number(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) } //nolint:gosec // G115: any bits
