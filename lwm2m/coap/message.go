package coap

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// parseOptions reads options and payload by go-coap's codec, with no table of
// definitions: with one it would drop options of illegal length in silence,
// critical ones too.
func (m *Message) parseOptions(rest []byte) error {
	options := message.Options(m.Options)
	used, err := options.Unmarshal(rest, nil)
	m.Options = options
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrOptionForm, err)
	}
	if used < len(rest) {
		m.Payload = rest[used:]
		return nil
	}
	if used == 0 || rest[used-1] != payloadMarker {
		return nil
	}
	// The last byte is 0xff. It belongs to an option if the rest does not
	// stand without it, else it is a marker with nothing behind it.
	again := make(message.Options, 0, maxOptions)
	if _, err := again.Unmarshal(rest[:used-1], nil); err == nil {
		return ErrNoPayload
	}
	return nil
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
	const optionHead = 5 // the longest head of an option
	size := headerSize + len(m.Token) + 1 + len(m.Payload)
	for _, o := range m.Options {
		size += optionHead + len(o.Value)
	}
	b = slices.Grow(b, size)
	b = append(b, 1<<6|byte(m.Type)<<4|byte(len(m.Token)), byte(m.Code)) //nolint:gosec // G115: checked above
	b = binary.BigEndian.AppendUint16(b, m.ID)
	b = append(b, m.Token...)
	n, err := message.Options(m.Options).Marshal(b[len(b):cap(b)])
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrOptionForm, err)
	}
	b = b[:len(b)+n]
	if len(m.Payload) > 0 {
		b = append(b, payloadMarker)
		b = append(b, m.Payload...)
	}
	return b, nil
}

// emptyMessage returns the datagram of an empty ACK or RST, or of a ping.
func emptyMessage(t Type, id uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{1<<6 | byte(t)<<4, 0}, id)
}
