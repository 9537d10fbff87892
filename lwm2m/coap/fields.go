package coap

import (
	"bytes"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
)

// Options beyond those that go-coap names.
const (
	optionEcho       message.OptionID = 252 // RFC 9175 §2
	optionRequestTag message.OptionID = 292 // RFC 9175 §3
)

// fields is what the options of one message say. Slices alias the message.
type fields struct {
	format, accept Format
	maxAge         MaxAge
	etag           []byte
	ifMatch        [][]byte
	ifNoneMatch    bool
	observe        uint32
	hasObserve     bool
	block1, block2 block
	size1, size2   uint32
	tag            []byte // all Request-Tags, each behind its length
	proxy          bool   // Proxy-Uri or Proxy-Scheme is present
	unknown        bool   // a critical option was not understood
}

// lengths returns the legal lengths of an option's value, and whether the
// option may be repeated (RFC 7252 §5.10); ok is false for an unknown option.
func lengths(id message.OptionID) (low, high int, repeatable, ok bool) {
	switch id {
	case message.IfMatch:
		return 0, 8, true, true
	case message.ETag:
		return 1, 8, true, true
	case message.URIPath, message.URIQuery, message.LocationPath, message.LocationQuery:
		return 0, 255, true, true
	case optionRequestTag:
		return 0, 8, true, true
	case message.URIHost, message.ProxyScheme:
		return 1, 255, false, true
	case message.ProxyURI:
		return 1, 1034, false, true
	case message.IfNoneMatch:
		return 0, 0, false, true
	case message.Observe, message.Block1, message.Block2:
		return 0, 3, false, true
	case message.URIPort, message.ContentFormat, message.Accept:
		return 0, 2, false, true
	case message.MaxAge, message.Size1, message.Size2:
		return 0, 4, false, true
	case optionEcho:
		return 1, 40, false, true
	default:
		return 0, 0, false, false
	}
}

// decode reads the options of m. One that is unknown, repeated against its
// definition or of illegal length is ignored if elective and sets unknown if
// critical (RFC 7252 §5.4).
func (f *fields) decode(m *Message) {
	*f = fields{}
	var last message.OptionID
	for _, o := range m.Options {
		low, high, repeatable, ok := lengths(o.ID)
		if !ok || len(o.Value) < low || len(o.Value) > high || (o.ID == last && !repeatable) {
			f.unknown = f.unknown || o.ID&1 == 1
			continue
		}
		last = o.ID
		f.set(o)
	}
}

func (f *fields) set(o Option) {
	switch o.ID {
	case message.IfMatch:
		f.ifMatch = append(f.ifMatch, o.Value)
	case message.IfNoneMatch:
		f.ifNoneMatch = true
	case message.ETag:
		if f.etag == nil {
			f.etag = o.Value
		}
	case optionRequestTag:
		f.tag = append(append(f.tag, byte(len(o.Value))), o.Value...) //nolint:gosec // G115: at most 8
	case message.ProxyURI, message.ProxyScheme:
		f.proxy = true
	default:
		f.setUint(o)
	}
}

func (f *fields) setUint(o Option) {
	v := uint32(0)
	for _, b := range o.Value[:min(len(o.Value), 4)] {
		v = v<<8 | uint32(b)
	}
	switch o.ID {
	case message.ContentFormat:
		f.format = FormatID(uint16(v))
	case message.Accept:
		f.accept = FormatID(uint16(v))
	case message.MaxAge:
		f.maxAge = MaxAgeSeconds(v)
	case message.Observe:
		f.observe, f.hasObserve = v, true
	case message.Block1:
		f.block1 = parseBlock(v)
	case message.Block2:
		f.block2 = parseBlock(v)
	case message.Size1:
		f.size1 = v
	case message.Size2:
		f.size2 = v
	default: // Uri-Host, Uri-Port, Location-Query and Echo say nothing to us
	}
}

// request returns the Request of m and f, copied out of the datagram.
func (f *fields) request(p Peer, m *Message) *Request {
	r := &Request{
		Peer: p, Method: m.Code, Path: texts(m, message.URIPath), Query: texts(m, message.URIQuery),
		ContentFormat: f.format, Accept: f.accept, NonConfirmable: m.Type == NON,
		ETag: bytes.Clone(f.etag), IfNoneMatch: f.ifNoneMatch,
		Payload: bytes.Clone(m.Payload), Token: bytes.Clone(m.Token),
	}
	for _, v := range f.ifMatch {
		r.IfMatch = append(r.IfMatch, bytes.Clone(v))
	}
	// Observe is elective: on other methods and with other values it is
	// ignored (RFC 7641 §2, RFC 8132 §2.4).
	if f.hasObserve && (m.Code == GET || m.Code == FETCH) {
		switch f.observe {
		case 0:
			r.Observe = ObserveRegister
		case 1:
			r.Observe = ObserveCancel
		}
	}
	return r
}

// response returns the Response of m and f, copied out of the datagram.
func (f *fields) response(m *Message) *reply {
	return &reply{
		Response: Response{
			Code: m.Code, ContentFormat: f.format, Payload: bytes.Clone(m.Payload),
			LocationPath: texts(m, message.LocationPath), MaxAge: f.maxAge, ETag: bytes.Clone(f.etag),
			Observe: f.hasObserve, Sequence: f.observe,
		},
		block1: f.block1, block2: f.block2, size2: f.size2,
	}
}

// A reply is one response message: a Response of one block.
type reply struct {
	Response
	block1, block2 block
	size2          uint32
}

// whole reports whether r is the one block of its body.
func (r *reply) whole() bool { return !r.block2.set || (r.block2.num == 0 && !r.block2.more) }

// texts returns the values of a repeatable option, which share one string.
func texts(m *Message, id message.OptionID) []string {
	count, size := 0, 0
	for _, o := range m.Options {
		if o.ID == id && len(o.Value) <= maxText {
			count++
			size += len(o.Value)
		}
	}
	if count == 0 {
		return nil
	}
	var all strings.Builder
	all.Grow(size)
	out := make([]string, 0, count)
	for _, o := range m.Options {
		if o.ID == id && len(o.Value) <= maxText {
			start := all.Len()
			all.Write(o.Value)
			out = append(out, all.String()[start:])
		}
	}
	return out
}

// transferKey names the body that the blocks of a request belong to on its
// association (RFC 7959 §2.5, RFC 9175 §3.3). Tokens are no part of it.
func transferKey(method Code, path, query []string, tag []byte) string {
	key := []byte{byte(method)}
	for i, list := range [2][]string{path, query} {
		for _, s := range list {
			key = append(key, byte(i), byte(len(s))) //nolint:gosec // G115: at most maxText
			key = append(key, s...)
		}
	}
	return string(slices.Concat(key, []byte{0xff}, tag))
}
