package coap

import (
	"encoding/binary"
	"fmt"
)

// Codes of signalling messages (RFC 8323 §5).
const (
	CSM     Code = 7<<5 | 1
	Ping    Code = 7<<5 | 2
	Pong    Code = 7<<5 | 3
	Release Code = 7<<5 | 4
	Abort   Code = 7<<5 | 5
)

// IsSignal reports whether c is of signalling messages, known or not.
func (c Code) IsSignal() bool { return c.Class() == 7 }

// Options of a CSM (RFC 8323 §5.3). Their numbers count for that code alone.
const (
	optionMaxMessageSize    = 2
	optionBlockWiseTransfer = 4
)

// BaseMessageSize is the longest frame in bytes that a peer accepts which has not
// said otherwise (RFC 8323 §5.3.1).
const BaseMessageSize = 1152

// Capabilities are what one side of a stream said in its CSM (RFC 8323 §5.3).
type Capabilities struct {
	// MaxMessageSize is the longest frame that it accepts, in bytes. A side that
	// names more than BaseMessageSize together with BlockWise speaks BERT.
	MaxMessageSize uint32
	// BlockWise says that it knows block-wise transfer.
	BlockWise bool
}

// Message returns the CSM that says c.
func (c Capabilities) Message() Message {
	m := Message{Type: NON, Code: CSM, Options: []Option{
		{ID: optionMaxMessageSize, Value: binary.BigEndian.AppendUint32(nil, c.MaxMessageSize)},
	}}
	for v := &m.Options[0].Value; len(*v) > 0 && (*v)[0] == 0; {
		*v = (*v)[1:]
	}
	if c.BlockWise {
		m.Options = append(m.Options, Option{ID: optionBlockWiseTransfer})
	}
	return m
}

// With returns c changed by a CSM: what that does not name stays. It returns
// ErrOption, naming it, for a critical option that is not known (RFC 8323 §5.3).
func (c Capabilities) With(m Message) (Capabilities, error) {
	for _, o := range m.Options {
		switch {
		case o.ID == optionMaxMessageSize && len(o.Value) <= 4:
			c.MaxMessageSize = 0
			for _, b := range o.Value {
				c.MaxMessageSize = c.MaxMessageSize<<8 | uint32(b)
			}
		case o.ID == optionBlockWiseTransfer:
			c.BlockWise = true
		case o.ID&1 == 1:
			return c, fmt.Errorf("%w: %d in a CSM", ErrOption, o.ID)
		}
	}
	return c, nil
}
