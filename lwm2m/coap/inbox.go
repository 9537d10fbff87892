package coap

import (
	"github.com/plgd-dev/go-coap/v3/message"
)

// An inbox is what one datagram is taken apart in; it is used again.
type inbox struct {
	message Message
	fields  fields
	request Request
	texts   []string // of request
	reply   []byte   // the datagram in answer
	known   [knownTexts]string
}

// knownTexts is the number of texts kept so that the next request need not copy
// them: those that all devices have in common.
const knownTexts = 64

func newInbox() *inbox {
	return &inbox{
		message: Message{Options: make([]Option, 0, maxOptions)},
		texts:   make([]string, 0, maxOptions),
	}
}

// plain reports whether the message is a request that is whole, understood and
// asks for no state: one that may be quick.
func (in *inbox) plain() bool {
	m, f := &in.message, &in.fields
	return m.Code.IsRequest() && m.Type <= NON &&
		!f.unknown && !f.proxy && !f.hasObserve && !f.block1.set && !f.block2.set
}

// borrowed returns the request of the message, which aliases the datagram and
// the inbox.
func (in *inbox) borrowed(p Peer, szx uint8) *Request {
	m, f := &in.message, &in.fields
	in.texts = in.texts[:0]
	in.request = Request{
		Peer: p, Method: m.Code, Path: in.segments(message.URIPath), Query: in.segments(message.URIQuery),
		ContentFormat: f.format, Accept: f.accept, NonConfirmable: m.Type == NON,
		ETag: f.etag, IfMatch: f.ifMatch, IfNoneMatch: f.ifNoneMatch, Payload: m.Payload, Token: m.Token,
	}
	if m.Code == GET {
		in.request.Limit = 16 << szx
	}
	return &in.request
}

// segments returns the values of a repeatable option.
func (in *inbox) segments(id message.OptionID) []string {
	start := len(in.texts)
	for _, o := range in.message.Options {
		if o.ID == id && len(o.Value) <= maxText {
			in.texts = append(in.texts, in.text(o.Value))
		}
	}
	if len(in.texts) == start {
		return nil
	}
	return in.texts[start:len(in.texts):len(in.texts)]
}

// text returns b as a string, the one of last time if it is known.
func (in *inbox) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	const odd = 31
	slot := &in.known[(uint(b[0])+odd*uint(b[len(b)-1])+odd*odd*uint(len(b)))%knownTexts]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
