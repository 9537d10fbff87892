package audit

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// escape writes text so that CSV and JSON give it back byte by byte, and no
// spreadsheet takes it for a formula: \\, \n, \r, \xff for what is no UTF-8, and \=
// for a sign that would begin a formula.
func escape(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t", rune(text[0])) {
		return `\` + text[:1] + escape(text[1:])
	}
	var b strings.Builder
	for text != "" {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + hex.EncodeToString([]byte(text[:1])))
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// unescape undoes escape.
func unescape(text string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if after == "" {
			return "", false
		}
		switch text = after[1:]; after[0] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'x':
			const digits = 2
			if len(text) < digits {
				return "", false
			}
			one, err := hex.DecodeString(text[:digits])
			if err != nil {
				return "", false
			}
			b.Write(one)
			text = text[digits:]
		case '\\', '=', '+', '-', '@', '\t':
			b.WriteByte(after[0])
		default:
			return "", false
		}
	}
}
