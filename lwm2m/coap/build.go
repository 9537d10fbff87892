package coap

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
)

// maxText is the length of the longest path segment or query argument (RFC
// 7252 §5.10).
const maxText = 255

// An optionList collects the options of a message, in order of their numbers.
type optionList struct {
	list    []Option
	scratch []byte // holds the values of numbers
}

func (l *optionList) bytes(id message.OptionID, v []byte) {
	l.list = append(l.list, Option{ID: id, Value: v})
}

func (l *optionList) uint(id message.OptionID, v uint32) {
	var b [4]byte
	n, err := message.EncodeUint32(b[:], v)
	if err != nil {
		return // cannot be: four bytes hold every uint32
	}
	start := len(l.scratch)
	l.scratch = append(l.scratch, b[:n]...)
	l.bytes(id, l.scratch[start:])
}

func (l *optionList) texts(id message.OptionID, values []string) {
	for _, s := range values {
		l.bytes(id, []byte(s))
	}
}

func (l *optionList) block(id message.OptionID, b block) {
	if b.set {
		l.uint(id, b.value())
	}
}

func (l *optionList) format(id message.OptionID, f Format) {
	if n, ok := f.ID(); ok {
		l.uint(id, uint32(n))
	}
}

// extra is what the engine adds to the options of a Request or Response.
type extra struct {
	block1, block2 block
	size1, size2   uint32 // 0: absent
	tag            []byte // Request-Tag; nil: absent
}

// requestOptions returns the options of r and x.
func requestOptions(r *Request, x extra) []Option {
	l := optionList{list: make([]Option, 0, len(r.Path)+len(r.Query)+8)}
	for _, v := range r.IfMatch {
		l.bytes(message.IfMatch, v)
	}
	if r.ETag != nil {
		l.bytes(message.ETag, r.ETag)
	}
	if r.IfNoneMatch {
		l.bytes(message.IfNoneMatch, nil)
	}
	switch r.Observe {
	case ObserveNone:
	case ObserveRegister:
		l.uint(message.Observe, 0)
	case ObserveCancel:
		l.uint(message.Observe, 1)
	}
	l.texts(message.URIPath, r.Path)
	l.format(message.ContentFormat, r.ContentFormat)
	l.texts(message.URIQuery, r.Query)
	l.format(message.Accept, r.Accept)
	l.block(message.Block2, x.block2)
	l.block(message.Block1, x.block1)
	if x.size1 > 0 {
		l.uint(message.Size1, x.size1)
	}
	if x.tag != nil {
		l.bytes(optionRequestTag, x.tag)
	}
	return l.list
}

// responseOptions returns the options of r and x; sequence counts only if r
// is of an observation.
func responseOptions(r *Response, sequence uint32, x extra) []Option {
	var l optionList
	if len(r.ETag) > 0 {
		l.bytes(message.ETag, r.ETag)
	}
	if r.Observe {
		l.uint(message.Observe, sequence)
	}
	l.texts(message.LocationPath, r.LocationPath)
	l.format(message.ContentFormat, r.ContentFormat)
	if n, ok := r.MaxAge.Seconds(); ok {
		l.uint(message.MaxAge, n)
	}
	l.block(message.Block2, x.block2)
	l.block(message.Block1, x.block1)
	if x.size2 > 0 {
		l.uint(message.Size2, x.size2)
	}
	if x.size1 > 0 {
		l.uint(message.Size1, x.size1)
	}
	return l.list
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
	if len(r.ETag) > maxToken {
		return fmt.Errorf("%w: entity tag of %d bytes", ErrRequest, len(r.ETag))
	}
	return nil
}

// check returns ErrMessage if r has no encoding.
func (r *Response) check() error {
	if !r.Code.IsResponse() {
		return fmt.Errorf("%w: %s is no response code", ErrMessage, r.Code)
	}
	if len(r.ETag) > maxToken || len(r.LocationPath) > maxOptions/2 {
		return fmt.Errorf("%w: options of a response", ErrOptionForm)
	}
	for _, s := range r.LocationPath {
		if len(s) > maxText {
			return fmt.Errorf("%w: location segment of %d bytes", ErrOptionForm, len(s))
		}
	}
	return nil
}
