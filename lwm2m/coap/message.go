package coap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
)

// A Type is the kind of a message (RFC 7252 §3).
type Type uint8

// The types of messages.
const (
	CON Type = iota
	NON
	ACK
	RST
)

// String returns "CON", "NON", "ACK" or "RST".
func (t Type) String() string { return [...]string{"CON", "NON", "ACK", "RST"}[t&3] }

// An Option is one option of a message: its number (ID) and raw value.
type Option = message.Option

// A Message is one datagram (RFC 7252 §3), taken apart but not interpreted.
type Message struct {
	Type    Type
	Code    Code
	ID      uint16
	Token   []byte   // at most 8 bytes
	Options []Option // in order of their numbers
	Payload []byte

	stream bool // it came by a stream
}

// What is wrong with a datagram (RFC 7252 §3). All are ErrMessage.
var (
	ErrMessage     = errors.New("malformed message")
	ErrShort       = fmt.Errorf("%w: shorter than its header or token", ErrMessage)
	ErrWireVersion = fmt.Errorf("%w: unknown protocol version", ErrMessage)
	ErrTokenLength = fmt.Errorf("%w: token longer than 8 bytes", ErrMessage)
	ErrOptionForm  = fmt.Errorf("%w: option truncated, reserved or one too many", ErrMessage)
	ErrNoPayload   = fmt.Errorf("%w: payload marker without payload", ErrMessage)
	ErrNotEmpty    = fmt.Errorf("%w: empty message with content", ErrMessage)
)

const (
	headerSize = 4
	maxToken   = 8
	// maxOptions is the number of options in one message: a path of four, a
	// dozen query arguments and all others fit thrice.
	maxOptions    = 64
	payloadMarker = 0xff
)

// Parse takes datagram apart. The message aliases it. Options are kept
// whatever their number and length; one of number 0, which is reserved and
// elective, is dropped. Its errors are ErrMessage.
func Parse(datagram []byte) (Message, error) {
	var m Message
	err := m.parse(datagram)
	return m, err
}

// parse is Parse into m, whose Options keep their storage.
func (m *Message) parse(d []byte) error {
	options := m.Options[:0]
	if cap(options) < maxOptions {
		options = make([]Option, 0, maxOptions)
	}
	*m = Message{Options: options}
	if len(d) < headerSize {
		return ErrShort
	}
	if d[0]>>6 != 1 {
		return ErrWireVersion
	}
	m.Type, m.Code, m.ID = Type(d[0]>>4&3), Code(d[1]), binary.BigEndian.Uint16(d[2:])
	n := int(d[0] & 15)
	if n > maxToken {
		return ErrTokenLength
	}
	rest := d[headerSize:]
	if len(rest) < n {
		return ErrShort
	}
	if m.Code == Empty && (n > 0 || len(rest) > 0) {
		return ErrNotEmpty // RFC 7252 §4.1
	}
	m.Token, rest = rest[:n:n], rest[n:]
	return m.parseOptions(rest)
}

// parseOptions reads options and payload (RFC 7252 §3.1).
func (m *Message) parseOptions(rest []byte) error {
	number := 0
	for len(rest) > 0 {
		if rest[0] == payloadMarker {
			if len(rest) == 1 {
				return ErrNoPayload
			}
			m.Payload = rest[1:]
			return nil
		}
		delta, length := int(rest[0]>>4), int(rest[0]&15)
		rest = rest[1:]
		var whole [2]bool
		delta, rest, whole[0] = extended(delta, rest)
		length, rest, whole[1] = extended(length, rest)
		number += delta
		if !whole[0] || !whole[1] || length > len(rest) || number > math.MaxUint16 {
			return ErrOptionForm
		}
		if number > 0 {
			if len(m.Options) == maxOptions {
				return ErrOptionForm
			}
			m.Options = append(m.Options, Option{ID: message.OptionID(number), Value: rest[:length:length]})
		}
		rest = rest[length:]
	}
	return nil
}

// Nibbles of an option's head that say where its number or length goes on.
const (
	nibbleByte  = 13 // in one byte more
	nibbleWord  = 14 // in two
	beyondByte  = 13
	beyondWord  = 269
	longestWord = beyondWord + math.MaxUint16
)

// extended returns the number that a nibble and the bytes behind it stand for,
// and what follows; false if it is truncated or reserved.
func extended(nibble int, rest []byte) (n int, tail []byte, ok bool) {
	switch {
	case nibble < nibbleByte:
		return nibble, rest, true
	case nibble == nibbleByte && len(rest) >= 1:
		return beyondByte + int(rest[0]), rest[1:], true
	case nibble == nibbleWord && len(rest) >= 2:
		return beyondWord + int(binary.BigEndian.Uint16(rest)), rest[2:], true
	default:
		return 0, nil, false
	}
}

// Append appends the datagram of m to b. It returns ErrMessage if m has no
// encoding. Options out of order are sorted.
func (m Message) Append(b []byte) ([]byte, error) {
	if len(m.Token) > maxToken {
		return nil, ErrTokenLength
	}
	if m.Code == Empty && len(m.Token)+len(m.Options)+len(m.Payload) > 0 {
		return nil, ErrNotEmpty
	}
	byNumber := func(a, b Option) int { return int(a.ID) - int(b.ID) }
	if !slices.IsSortedFunc(m.Options, byNumber) {
		m.Options = slices.Clone(m.Options)
		slices.SortStableFunc(m.Options, byNumber)
	}
	w := encoder{b: b}
	w.head(m.Type, m.Code, m.ID, m.Token)
	for _, o := range m.Options {
		if len(o.Value) > longestWord {
			return nil, ErrOptionForm
		}
		writeOption(&w, o.ID, o.Value)
	}
	w.payload(m.Payload)
	return w.b, nil
}

// emptyMessage returns the datagram of an empty ACK or RST, or of a ping.
func emptyMessage(t Type, id uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{1<<6 | byte(t)<<4, 0}, id)
}
