package coap

import (
	"encoding/binary"
	"math"
)

// Lengths of what follows a token in a frame, by the nibble that says so (RFC
// 8323 §3.2).
const (
	frameByte       = 13 // in one byte more
	frameWord       = 14 // in two
	frameLong       = 15 // in four
	beyondFrameByte = 13
	beyondFrameWord = 269
	beyondFrameLong = 65805
)

// FrameLength returns the length in bytes of the frame that begins with start
// (RFC 8323 §3.2), at most math.MaxInt32 whatever the frame says. It returns false
// if start is too short to tell; six bytes always do. It returns ErrTokenLength.
func FrameLength(start []byte) (total int, ok bool, err error) {
	if len(start) == 0 {
		return 0, false, nil
	}
	token := int(start[0] & 15)
	if token > maxToken {
		return 0, false, ErrTokenLength
	}
	length, extra, ok := frameBody(start)
	if !ok {
		return 0, false, nil
	}
	return int(min(length+uint64(2+extra+token), math.MaxInt32)), true, nil //nolint:gosec // G115: small
}

// frameBody returns how long options and payload are, and in how many bytes
// behind the first that is said; false if start is too short.
func frameBody(start []byte) (length uint64, extra int, ok bool) {
	nibble, rest := start[0]>>4, start[1:]
	switch {
	case nibble < frameByte:
		return uint64(nibble), 0, true
	case nibble == frameByte && len(rest) >= 1:
		return beyondFrameByte + uint64(rest[0]), 1, true
	case nibble == frameWord && len(rest) >= 2:
		return beyondFrameWord + uint64(binary.BigEndian.Uint16(rest)), 2, true
	case nibble == frameLong && len(rest) >= 4:
		return beyondFrameLong + uint64(binary.BigEndian.Uint32(rest)), 4, true
	default:
		return 0, 0, false
	}
}

// ParseFrame takes one whole frame of a stream apart (RFC 8323 §3.2). The message
// aliases it; its type is NON and its id 0, for a stream knows neither. Its errors
// are ErrMessage.
func ParseFrame(frame []byte) (Message, error) {
	var m Message
	err := m.parseFrame(frame)
	return m, err
}

// parseFrame is ParseFrame into m, whose Options keep their storage.
func (m *Message) parseFrame(frame []byte) error {
	options := m.Options[:0]
	if cap(options) < maxOptions {
		options = make([]Option, 0, maxOptions)
	}
	*m = Message{Options: options, Type: NON, stream: true}
	total, ok, err := FrameLength(frame)
	if err != nil {
		return err
	}
	if !ok || total != len(frame) {
		return ErrShort
	}
	_, extra, _ := frameBody(frame)
	n := int(frame[0] & 15)
	rest := frame[2+extra:]
	m.Code = Code(frame[1+extra])
	m.Token, rest = rest[:n:n], rest[n:]
	return m.parseOptions(rest)
}

// AppendFrame appends the frame of a datagram that this package has made: the
// same message without its type and id.
func AppendFrame(b, datagram []byte) []byte {
	n := int(datagram[0] & 15)
	body := len(datagram) - headerSize - n
	head := len(b)
	b = append(b, byte(n))
	switch {
	case body < beyondFrameByte:
		b[head] |= byte(body) << 4 //nolint:gosec // G115: a nibble
	case body < beyondFrameWord:
		b[head] |= frameByte << 4
		b = append(b, byte(body-beyondFrameByte))
	case body < beyondFrameLong:
		b[head] |= frameWord << 4
		b = binary.BigEndian.AppendUint16(b, uint16(body-beyondFrameWord))
	default:
		b[head] |= frameLong << 4
		b = binary.BigEndian.AppendUint32(b, uint32(body-beyondFrameLong)) //nolint:gosec // G115: a datagram
	}
	b = append(b, datagram[1])
	return append(b, datagram[headerSize:]...)
}
