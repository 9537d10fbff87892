package coap

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
)

// maxTag is the length of the longest entity tag (RFC 7252 §5.10).
const maxTag = 8

// maxText is the length of the longest path segment or query argument (RFC
// 7252 §5.10).
const maxText = 255

// An encoder appends one message to b: its head, options in order of their
// numbers, payload. What it is given has been checked.
type encoder struct {
	b    []byte
	last message.OptionID
}

func (w *encoder) head(t Type, c Code, id uint16, token []byte) {
	w.b = append(w.b, 1<<6|byte(t)<<4|byte(len(token)), byte(c), byte(id>>8), byte(id)) //nolint:gosec // G115: at most 8
	w.b = append(w.b, token...)
}

// writeOption appends one option (RFC 7252 §3.1).
func writeOption[T []byte | string](w *encoder, id message.OptionID, v T) {
	head := len(w.b)
	w.b = append(w.b, 0)
	number := w.extend(int(id - w.last))
	length := w.extend(len(v))
	w.b[head] = number<<4 | length
	w.b = append(w.b, v...)
	w.last = id
}

// extend returns the nibble of n and appends what goes beyond it.
func (w *encoder) extend(n int) byte {
	switch {
	case n < beyondByte:
		return byte(n) //nolint:gosec // G115: small
	case n < beyondWord:
		w.b = append(w.b, byte(n-beyondByte))
		return nibbleByte
	default:
		n -= beyondWord
		w.b = append(w.b, byte(n>>8), byte(n)) //nolint:gosec // G115: at most longestWord
		return nibbleWord
	}
}

// uint writes a number in as few bytes as it needs (RFC 7252 §3.2).
func (w *encoder) uint(id message.OptionID, v uint32) {
	var all [4]byte
	binary.BigEndian.PutUint32(all[:], v)
	b := all[:]
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	writeOption(w, id, b)
}

func (w *encoder) texts(id message.OptionID, values []string) {
	for _, s := range values {
		writeOption(w, id, s)
	}
}

func (w *encoder) block(id message.OptionID, b block) {
	if b.set {
		w.uint(id, b.value())
	}
}

func (w *encoder) format(id message.OptionID, f Format) {
	if n, ok := f.ID(); ok {
		w.uint(id, uint32(n))
	}
}

func (w *encoder) payload(p []byte) {
	if len(p) > 0 {
		w.b = append(append(w.b, payloadMarker), p...)
	}
}

// extra is what the engine adds to the options of a Request or Response.
type extra struct {
	block1, block2 block
	size1, size2   uint32 // 0: absent
	tag            []byte // Request-Tag; nil: absent
}

// request writes the options of r and x.
func (w *encoder) request(r *Request, x extra) {
	for _, v := range r.IfMatch {
		writeOption(w, message.IfMatch, v)
	}
	if r.ETag != nil {
		writeOption(w, message.ETag, r.ETag)
	}
	if r.IfNoneMatch {
		writeOption(w, message.IfNoneMatch, "")
	}
	switch r.Observe {
	case ObserveNone:
	case ObserveRegister:
		w.uint(message.Observe, 0)
	case ObserveCancel:
		w.uint(message.Observe, 1)
	}
	w.texts(message.URIPath, r.Path)
	w.format(message.ContentFormat, r.ContentFormat)
	w.texts(message.URIQuery, r.Query)
	w.format(message.Accept, r.Accept)
	w.block(message.Block2, x.block2)
	w.block(message.Block1, x.block1)
	if x.size1 > 0 {
		w.uint(message.Size1, x.size1)
	}
	if x.tag != nil {
		writeOption(w, optionRequestTag, x.tag)
	}
}

// response writes the options of r and x; sequence counts only if r is of an
// observation.
func (w *encoder) response(r *Response, sequence uint32, x extra) {
	if len(r.ETag) > 0 {
		writeOption(w, message.ETag, r.ETag)
	}
	if r.Observe {
		w.uint(message.Observe, sequence)
	}
	w.texts(message.LocationPath, r.LocationPath)
	w.format(message.ContentFormat, r.ContentFormat)
	if n, ok := r.MaxAge.Seconds(); ok {
		w.uint(message.MaxAge, n)
	}
	w.block(message.Block2, x.block2)
	w.block(message.Block1, x.block1)
	if x.size2 > 0 {
		w.uint(message.Size2, x.size2)
	}
	if x.size1 > 0 {
		w.uint(message.Size1, x.size1)
	}
}

// check returns ErrRequest if r has no encoding.
func (r *Request) check() error {
	if !r.Method.IsRequest() {
		return fmt.Errorf("%w: %s is no method", ErrRequest, r.Method)
	}
	if len(r.Path)+len(r.Query)+len(r.IfMatch) > maxOptions/2 {
		return fmt.Errorf("%w: too many options", ErrRequest)
	}
	for _, list := range [2][]string{r.Path, r.Query} {
		for _, s := range list {
			if len(s) > maxText {
				return fmt.Errorf("%w: path segment or query argument of %d bytes", ErrRequest, len(s))
			}
		}
	}
	for _, tag := range append(slices.Clip(r.IfMatch), r.ETag) {
		if len(tag) > maxTag {
			return fmt.Errorf("%w: entity tag of %d bytes", ErrRequest, len(tag))
		}
	}
	return nil
}

// check returns ErrMessage if r has no encoding.
func (r *Response) check() error {
	if !r.Code.IsResponse() {
		return fmt.Errorf("%w: %s is no response code", ErrMessage, r.Code)
	}
	if len(r.ETag) > maxTag || len(r.LocationPath) > maxOptions/2 {
		return fmt.Errorf("%w: options of a response", ErrOptionForm)
	}
	for _, s := range r.LocationPath {
		if len(s) > maxText {
			return fmt.Errorf("%w: location segment of %d bytes", ErrOptionForm, len(s))
		}
	}
	return nil
}
