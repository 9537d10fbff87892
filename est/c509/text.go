package c509

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// validText says whether text is allowed in a string of that type.
func validText(tag asn1.Tag, text []byte) bool {
	switch tag {
	case asn1.PrintableString:
		return !bytes.ContainsFunc(text, func(r rune) bool { return !printable(r) })
	case asn1.UTF8String:
		return utf8.Valid(text)
	default: // IA5String
		return ascii(text)
	}
}

// printable says whether r is of the 74 characters of PrintableString.
func printable(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" '()+,-./:=?", r)
}

func ascii(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r > 0x7f })
}
