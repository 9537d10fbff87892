package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrState reports bytes that are no session.
var ErrState = errors.New("dtls: not the state of a session")

// stateLength is the length in bytes of an encoded session.
const stateLength = KeyBlockLength + 3*8 + maxCID + CIDLength + 5

// AppendBinary appends the session, keys and all, to dst. It implements
// encoding.BinaryAppender and never fails. Whoever stores the result must keep
// it secret, and must see to it that no number is used again: see Resume.
func (s *Session) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, s.readKey[:]...)
	dst = append(dst, s.writeKey[:]...)
	dst = append(dst, s.readIV[:]...)
	dst = append(dst, s.writeIV[:]...)
	dst = binary.BigEndian.AppendUint64(dst, s.next)
	dst = binary.BigEndian.AppendUint64(dst, s.newest)
	dst = binary.BigEndian.AppendUint64(dst, s.window)
	dst = append(dst, s.peerCID[:]...)
	dst = append(dst, s.localCID[:]...)
	var has byte
	if s.hasCID {
		has = 1
	}
	dst = append(dst, s.peerCIDLength, has, byte(s.protection))
	return binary.BigEndian.AppendUint16(dst, s.limit), nil
}

// ReadSession reads a session from the beginning of b and returns what follows
// it, or ErrState.
func ReadSession(b []byte) (s Session, rest []byte, err error) {
	if len(b) < stateLength {
		return Session{}, nil, fmt.Errorf("%w: truncated", ErrState)
	}
	take := func(to []byte) { b = b[copy(to, b):] }
	number := func() uint64 {
		n := binary.BigEndian.Uint64(b)
		b = b[8:]
		return n
	}
	take(s.readKey[:])
	take(s.writeKey[:])
	take(s.readIV[:])
	take(s.writeIV[:])
	s.next, s.newest, s.window = number(), number(), number()
	take(s.peerCID[:])
	take(s.localCID[:])
	s.peerCIDLength, s.hasCID, s.protection = b[0], b[1] == 1, Protection(b[2])
	s.limit = binary.BigEndian.Uint16(b[3:])
	if s.peerCIDLength > maxCID || b[1] > 1 || s.protection < CCM8 || s.protection > GCM ||
		s.next > sequenceMask+1 || s.newest > sequenceMask {
		return Session{}, nil, ErrState
	}
	return s, b[5:], nil
}

// Next is the sequence number of our next record.
func (s *Session) Next() uint64 { return s.next }

// Expected is one more than the highest sequence number authenticated, 0 if
// nothing was.
func (s *Session) Expected() uint64 {
	if s.window == 0 {
		return 0
	}
	return s.newest + 1
}

// Resume continues a session whose latest state was lost: the next record takes
// the number next, which must be above all that were ever used, and records
// below expected are refused, whether they arrived or not. Neither number goes
// back.
func (s *Session) Resume(next, expected uint64) {
	s.next = min(max(s.next, next), sequenceMask+1)
	if expected = min(max(expected, s.Expected()), sequenceMask+1); expected > 0 {
		s.newest, s.window = expected-1, ^uint64(0)
	}
}
