package lwm2m

import (
	"errors"
	"fmt"
	"strings"
)

// ErrArguments reports text that is not a list of Execute arguments.
var ErrArguments = errors.New("malformed arguments")

// An Argument is one argument of an Execute operation (§6.3.5).
type Argument struct {
	Digit    uint8 // 0..9, what the resource calls it
	Value    string
	HasValue bool // "3" and "3=''" are different
}

// Arguments are those of an Execute operation, in the order sent.
type Arguments []Argument

// ParseArguments reads text such as "0,2='10.3'" (§6.3.5): single digits, each
// at most once, with values between apostrophes. Empty text has no arguments.
// It returns ErrArguments for anything else.
func ParseArguments(text string) (Arguments, error) {
	var out Arguments
	var seen uint16
	for rest := text; rest != "" || len(out) > 0; {
		a, tail, err := parseArgument(rest)
		if err != nil {
			return nil, fmt.Errorf("%w: %q", err, text)
		}
		if seen&(1<<a.Digit) != 0 {
			return nil, fmt.Errorf("%w: digit %d twice", ErrArguments, a.Digit)
		}
		seen |= 1 << a.Digit
		out = append(out, a)
		if tail == "" {
			break
		}
		if tail[0] != ',' {
			return nil, fmt.Errorf("%w: %q", ErrArguments, text)
		}
		rest = tail[1:]
	}
	return out, nil
}

// parseArgument reads one argument and returns what follows it.
func parseArgument(text string) (Argument, string, error) {
	if text == "" || text[0] < '0' || text[0] > '9' {
		return Argument{}, "", ErrArguments
	}
	a := Argument{Digit: text[0] - '0'}
	rest, ok := strings.CutPrefix(text[1:], "=")
	if !ok {
		return a, rest, nil
	}
	rest, ok = strings.CutPrefix(rest, "'")
	value, tail, closed := strings.Cut(rest, "'")
	if !ok || !closed || strings.ContainsFunc(value, isControl) {
		return Argument{}, "", ErrArguments
	}
	a.Value, a.HasValue = value, true
	return a, tail, nil
}

// isControl also finds the replacement character, which stands for bytes that
// are not UTF-8.
func isControl(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }

// Get returns the value of the argument with that digit and whether there is
// such an argument.
func (a Arguments) Get(digit uint8) (string, bool) {
	for _, x := range a {
		if x.Digit == digit {
			return x.Value, true
		}
	}
	return "", false
}

// String returns the text that ParseArguments accepts. Values must not contain
// an apostrophe, which the format cannot express.
func (a Arguments) String() string {
	var b strings.Builder
	for i, x := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('0' + x.Digit)
		if x.HasValue {
			b.WriteString("='" + x.Value + "'")
		}
	}
	return b.String()
}
