package c509

import "encoding/hex"

// A registry maps the small integers of one IANA registry to what they stand
// for in DER: the content of an OBJECT IDENTIFIER in lower-case hex, unless its
// comment says otherwise.
type registry []struct {
	code int64
	der  string
}

// code returns the integer of der.
func (r registry) code(der []byte) (int64, bool) {
	text := hex.EncodeToString(der)
	for _, e := range r {
		if e.der == text {
			return e.code, true
		}
	}
	return 0, false
}

// der returns what code stands for.
func (r registry) der(code int64) ([]byte, bool) {
	for _, e := range r {
		if e.code == code {
			out, err := hex.DecodeString(e.der)
			return out, err == nil
		}
	}
	return nil, false
}
