package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ContentType is the type of a record (RFC 5246 §6.2.1, RFC 9146 §4).
type ContentType uint8

// The content types of DTLS 1.2.
const (
	ChangeCipherSpec ContentType = 20
	Alert            ContentType = 21
	Handshake        ContentType = 22
	ApplicationData  ContentType = 23
	TLS12CID         ContentType = 25
)

// CIDLength is the length in bytes of the connection identifiers we hand out.
// It is fixed because a tls12_cid record does not state it (RFC 9146 §4).
const CIDLength = 8

const (
	headerLength    = 13         // type, version, epoch, sequence number, length
	maxFragment     = 1<<14 + 64 // RFC 6347 §4.1: 2^14 and the AEAD's expansion, generously
	sequenceMask    = 1<<48 - 1
	versionDTLS12   = 0xfefd
	versionDTLS10   = 0xfeff // ClientHello records may carry it (RFC 6347 §4.2.1)
	clientHelloType = 1
	messageHeader   = 12 // handshake message header (RFC 6347 §4.2.2)
	randomLength    = 32
)

// Errors of reading records.
var (
	// ErrTruncated reports a record or message shorter than its header says.
	ErrTruncated = errors.New("dtls: truncated record")
	// ErrVersion reports a record that is not of DTLS 1.0 or 1.2.
	ErrVersion = errors.New("dtls: unknown record version")
	// ErrContentType reports a content type DTLS 1.2 does not have.
	ErrContentType = errors.New("dtls: unknown content type")
	// ErrLength reports a fragment longer than the protocol allows.
	ErrLength = errors.New("dtls: overlong record")
)

// A Record is one DTLS record as it lies in a datagram; its slices alias it.
type Record struct {
	Type     ContentType
	Epoch    uint16
	Sequence uint64 // 48 bits
	CID      []byte // of a TLS12CID record, CIDLength bytes
	Header   []byte // all up to Fragment
	Fragment []byte // plaintext in epoch 0, else explicit nonce, ciphertext and tag
}

// ParseRecord reads the first record of a datagram and returns what follows it.
// It returns ErrTruncated, ErrVersion, ErrContentType or ErrLength.
func ParseRecord(datagram []byte) (r Record, rest []byte, err error) {
	if len(datagram) < headerLength {
		return Record{}, nil, ErrTruncated
	}
	r.Type = ContentType(datagram[0])
	header := headerLength
	switch r.Type {
	case ChangeCipherSpec, Alert, Handshake, ApplicationData:
	case TLS12CID:
		header += CIDLength
	default:
		return Record{}, nil, fmt.Errorf("%w: %d", ErrContentType, datagram[0])
	}
	if v := binary.BigEndian.Uint16(datagram[1:]); v != versionDTLS12 && v != versionDTLS10 {
		return Record{}, nil, fmt.Errorf("%w: %04x", ErrVersion, v)
	}
	if len(datagram) < header {
		return Record{}, nil, ErrTruncated
	}
	length := int(binary.BigEndian.Uint16(datagram[header-2:]))
	if length > maxFragment {
		return Record{}, nil, fmt.Errorf("%w: %d bytes", ErrLength, length)
	}
	if len(datagram) < header+length {
		return Record{}, nil, ErrTruncated
	}
	r.Epoch = binary.BigEndian.Uint16(datagram[3:])
	r.Sequence = binary.BigEndian.Uint64(datagram[3:]) & sequenceMask
	r.CID = datagram[headerLength-2 : header-2]
	r.Header = datagram[:header]
	r.Fragment = datagram[header : header+length]
	return r, datagram[header+length:], nil
}

// IsHello reports whether r begins a ClientHello in the clear.
func IsHello(r Record) bool {
	return r.Type == Handshake && r.Epoch == 0 && len(r.Fragment) >= messageHeader &&
		r.Fragment[0] == clientHelloType &&
		r.Fragment[6] == 0 && r.Fragment[7] == 0 && r.Fragment[8] == 0 // fragment_offset
}
