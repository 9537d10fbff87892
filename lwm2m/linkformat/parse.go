package linkformat

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads a list of links; empty text is an empty list. It allows spaces
// after commas, which OMA prints everywhere, and a first item lwm2m=x without a
// target, as bootstrap Discover had in early releases; it then points to "/".
// It returns ErrSyntax, ErrDuplicate or ErrLimit.
func Parse(text string) ([]Link, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("%w: %d bytes", ErrLimit, len(text))
	}
	if text == "" {
		return nil, nil
	}
	p := parser{text: text}
	out := make([]Link, 0, min(strings.Count(text, "<")+1, MaxLinks))
	for {
		if len(out) == MaxLinks {
			return nil, fmt.Errorf("%w: more than %d", ErrLimit, MaxLinks)
		}
		l, err := p.link(len(out) == 0)
		if err != nil {
			return nil, fmt.Errorf("offset %d: %w", p.off, err)
		}
		out = append(out, l)
		if p.done() {
			return out, nil
		}
		if !p.skip(',') {
			return nil, fmt.Errorf("offset %d: %w", p.off, ErrSyntax)
		}
		for p.skip(' ') || p.skip('\t') {
		}
	}
}

type parser struct {
	text string
	off  int
}

func (p *parser) done() bool { return p.off == len(p.text) }

// skip passes over c if it comes next.
func (p *parser) skip(c byte) bool {
	if p.done() || p.text[p.off] != c {
		return false
	}
	p.off++
	return true
}

// while returns the longest run of bytes that ok accepts.
func (p *parser) while(ok func(byte) bool) string {
	start := p.off
	for !p.done() && ok(p.text[p.off]) {
		p.off++
	}
	return p.text[start:p.off]
}

func (p *parser) link(first bool) (Link, error) {
	if first && strings.HasPrefix(p.text, "lwm2m=") {
		a, err := p.attribute()
		return Link{Target: "/", Attributes: []Attribute{a}}, err
	}
	if !p.skip('<') {
		return Link{}, ErrSyntax
	}
	l := Link{Target: p.while(isTarget)}
	if !p.skip('>') {
		return Link{}, ErrSyntax
	}
	for p.skip(';') {
		if len(l.Attributes) == MaxAttributes {
			return Link{}, fmt.Errorf("%w: more than %d attributes", ErrLimit, MaxAttributes)
		}
		a, err := p.attribute()
		if err != nil {
			return Link{}, err
		}
		if _, ok := l.Attribute(a.Name); ok {
			return Link{}, fmt.Errorf("%w: %s", ErrDuplicate, a.Name)
		}
		l.Attributes = append(l.Attributes, a)
	}
	return l, nil
}

func (p *parser) attribute() (Attribute, error) {
	a := Attribute{Name: p.while(isName)}
	if p.skip('*') { // RFC 5987, such as title*
		a.Name += "*"
	}
	if a.Name == "" || a.Name == "*" {
		return Attribute{}, ErrSyntax
	}
	if !p.skip('=') {
		return a, nil
	}
	a.HasValue = true
	if p.skip('"') {
		var err error
		a.Value, err = p.quoted()
		return a, err
	}
	a.Value = p.while(isToken)
	if a.Value == "" {
		return Attribute{}, ErrSyntax
	}
	return a, nil
}

// quoted reads up to the closing quote; a backslash quotes one character
// (RFC 2616 §2.2).
func (p *parser) quoted() (string, error) {
	start, escaped := p.off, false
	for ; !p.done(); p.off++ {
		switch c := p.text[p.off]; {
		case c == '"':
			raw := p.text[start:p.off]
			p.off++
			if escaped {
				raw = unescape(raw)
			}
			if !utf8.ValidString(raw) {
				return "", ErrSyntax
			}
			return raw, nil
		case c == '\\':
			escaped = true
			p.off++
			if p.done() || p.text[p.off] < ' ' {
				return "", ErrSyntax
			}
		case c < ' ' || c == 0x7f:
			return "", ErrSyntax
		}
	}
	return "", ErrSyntax
}

func unescape(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// isTarget accepts the characters of a URI reference (RFC 3986 Appendix A).
func isTarget(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("-._~:/?#[]@!$&'()*+,;=%", c) >= 0
}

// isName accepts attr-char of RFC 5987 §3.2.1.
func isName(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$&+-.^_`|~", c) >= 0
}

// isToken accepts ptokenchar of RFC 6690 §2.
func isToken(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'()*+-./:<=>?@[]^_`{|}~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
