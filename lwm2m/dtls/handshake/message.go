package handshake

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
)

// The types of handshake messages (RFC 5246 §7.4, RFC 6347 §4.3.2, RFC 5077 §3.3).
const (
	typeClientHello        = 1
	typeServerHello        = 2
	typeHelloVerifyRequest = 3
	typeNewSessionTicket   = 4
	typeCertificate        = 11
	typeServerKeyExchange  = 12
	typeCertificateRequest = 13
	typeServerHelloDone    = 14
	typeCertificateVerify  = 15
	typeClientKeyExchange  = 16
	typeFinished           = 20
)

const (
	recordHeader  = 13
	messageHeader = 12 // type, length, message_seq, fragment_offset, fragment_length (RFC 6347 §4.2.2)
	versionMajor  = 0xfe
	version10     = 0xfeff
	version12     = 0xfefd
	randomLength  = 32
	maxSessionID  = 32
)

// A message is one handshake message, whole.
type message struct {
	typ  uint8
	seq  uint16
	body []byte
}

// header is the message's header as if it were not fragmented: what the hash of the
// handshake takes, however the message came (RFC 6347 §4.2.6).
func (m message) header() [messageHeader]byte { return fragmentHeader(m, 0, len(m.body)) }

// fragmentHeader is the header of n bytes of m from offset on.
func fragmentHeader(m message, offset, n int) [messageHeader]byte {
	const lengthAt, seqAt, offsetAt, fragmentAt = 1, 4, 6, 9
	h := [messageHeader]byte{m.typ}
	put24(h[lengthAt:], len(m.body))
	binary.BigEndian.PutUint16(h[seqAt:], m.seq)
	put24(h[offsetAt:], offset)
	put24(h[fragmentAt:], n)
	return h
}

// put24 writes a length, which is below 2^24.
func put24(b []byte, n int) {
	b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n) //nolint:gosec // G115: its bytes
}

// A fragment is a part of a handshake message.
type fragment struct {
	typ            uint8
	length, offset int
	seq            uint16
	body           []byte
}

// parseFragment reads the first fragment of a handshake record, and returns what
// follows it: a record may hold several messages. ok is false when the lengths do
// not fit.
func parseFragment(b []byte) (f fragment, rest []byte, ok bool) {
	s := cryptobyte.String(b)
	var length, offset, n uint32
	if !s.ReadUint8(&f.typ) || !s.ReadUint24(&length) || !s.ReadUint16(&f.seq) || !s.ReadUint24(&offset) ||
		!s.ReadUint24(&n) || !s.ReadBytes(&f.body, int(n)) || offset+n > length {
		return fragment{}, nil, false
	}
	f.length, f.offset = int(length), int(offset)
	return f, s, true
}
