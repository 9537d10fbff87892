package senml

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"steward/lwm2m"
)

// scanner reads JSON strictly (RFC 8259) and in place: standard decoders accept
// duplicate names and turn large integers into floats.
type scanner struct {
	data []byte
	off  int
}

func (s *scanner) fail() error { return fmt.Errorf("%w: JSON at offset %d", ErrSyntax, s.off) }

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.off < len(s.data); s.off++ {
		switch c := s.data[s.off]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// accept passes over c if it comes next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c || s.off == len(s.data) {
		return false
	}
	s.off++
	return true
}

// each calls element for each element of a list between open and end.
func (s *scanner) each(open, end byte, element func() error) error {
	if !s.accept(open) {
		return s.fail()
	}
	if s.accept(end) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.accept(end) {
			return nil
		}
		if !s.accept(',') {
			return s.fail()
		}
	}
}

// object calls field with each name of an object, at its value.
func (s *scanner) object(field func(name string) error) error {
	return s.each('{', '}', func() error {
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.accept(':') {
			return s.fail()
		}
		return field(string(name))
	})
}

// text reads a string; it aliases the input if nothing in it is escaped.
func (s *scanner) text() ([]byte, error) {
	if !s.accept('"') {
		return nil, s.fail()
	}
	start := s.off
	for ; s.off < len(s.data); s.off++ {
		switch c := s.data[s.off]; {
		case c == '"':
			raw := s.data[start:s.off]
			if !utf8.Valid(raw) {
				return nil, s.fail()
			}
			s.off++
			return raw, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, s.fail()
		}
	}
	return nil, s.fail()
}

// escaped continues text at the first backslash.
func (s *scanner) escaped(start int) ([]byte, error) {
	out := append([]byte(nil), s.data[start:s.off]...)
	for s.off < len(s.data) {
		c := s.data[s.off]
		s.off++
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return nil, s.fail()
			}
			return out, nil
		case c < ' ':
			return nil, s.fail()
		case c != '\\':
			out = append(out, c)
		default:
			r, ok := s.escape()
			if !ok {
				return nil, s.fail()
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return nil, s.fail()
}

// escape reads what follows a backslash. Half a surrogate pair is refused.
func (s *scanner) escape() (rune, bool) {
	if s.off == len(s.data) {
		return 0, false
	}
	c := s.data[s.off]
	s.off++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return s.unicode()
	}
	return 0, false
}

func (s *scanner) unicode() (rune, bool) {
	r, ok := s.hex()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if s.off+2 > len(s.data) || s.data[s.off] != '\\' || s.data[s.off+1] != 'u' {
		return 0, false
	}
	s.off += 2
	low, ok := s.hex()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

func (s *scanner) hex() (rune, bool) {
	if s.off+4 > len(s.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.data[s.off:s.off+4]), 16, 16)
	s.off += 4
	return rune(n), err == nil
}

// number reads a number: an integer if it is written as one and fits.
func (s *scanner) number() (lwm2m.Value, error) {
	s.peek()
	start, integer := s.off, true
	s.one('-')
	if !s.one('0') && s.digits() == 0 { // no leading zeros
		return lwm2m.Value{}, s.fail()
	}
	if s.one('.') {
		integer = false
		if s.digits() == 0 {
			return lwm2m.Value{}, s.fail()
		}
	}
	if s.one('e') || s.one('E') {
		integer = false
		if !s.one('-') {
			s.one('+')
		}
		if s.digits() == 0 {
			return lwm2m.Value{}, s.fail()
		}
	}
	text := string(s.data[start:s.off])
	kinds := []lwm2m.Kind{lwm2m.KindInteger, lwm2m.KindUnsigned}
	if !integer {
		kinds = []lwm2m.Kind{lwm2m.KindFloat}
	}
	for _, k := range kinds {
		if v, err := lwm2m.ParseValue(k, text); err == nil {
			return v, nil
		}
	}
	return lwm2m.Value{}, fmt.Errorf("%w: number %.40s", lwm2m.ErrValue, text)
}

// one passes over c if it is the very next byte.
func (s *scanner) one(c byte) bool {
	if s.off < len(s.data) && s.data[s.off] == c {
		s.off++
		return true
	}
	return false
}

func (s *scanner) digits() int {
	start := s.off
	for s.off < len(s.data) && isDigit(s.data[s.off]) {
		s.off++
	}
	return s.off - start
}

// literal passes over word if it comes next.
func (s *scanner) literal(word string) bool {
	s.peek()
	if len(s.data)-s.off < len(word) || string(s.data[s.off:s.off+len(word)]) != word {
		return false
	}
	s.off += len(word)
	return true
}

// boolean reads true or false.
func (s *scanner) boolean() (lwm2m.Value, error) {
	if s.literal("true") {
		return lwm2m.Boolean(true), nil
	}
	if s.literal("false") {
		return lwm2m.Boolean(false), nil
	}
	return lwm2m.Value{}, s.fail()
}

// skip passes over any value, nested at most depth levels.
func (s *scanner) skip(depth int) error {
	if depth == 0 {
		return s.fail()
	}
	switch c := s.peek(); {
	case c == '{':
		return s.object(func(string) error { return s.skip(depth - 1) })
	case c == '[':
		return s.each('[', ']', func() error { return s.skip(depth - 1) })
	case c == '"':
		_, err := s.text()
		return err
	case c == '-' || isDigit(c):
		_, err := s.number()
		return err
	case s.literal("true") || s.literal("false") || s.literal("null"):
		return nil
	}
	return s.fail()
}

// end checks that nothing but white space is left.
func (s *scanner) end() error {
	if s.peek() != 0 || s.off != len(s.data) {
		return s.fail()
	}
	return nil
}
