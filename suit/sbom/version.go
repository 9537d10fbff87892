package sbom

import (
	"cmp"
	"strings"
)

// compare orders versions: numbers by value, words by letters; a word after "-" or
// "~", or one such as rc, comes before the release that it belongs to. It serves
// dotted and semantic versions; the orders of distributions it approximates, with
// the epoch first, and a revision after its version.
func compare(a, b string) int {
	x, a := epoch(a)
	y, b := epoch(b)
	if c := compareToken(x, y); c != 0 {
		return c
	}
	left, right := split(a), split(b)
	for i := range max(len(left), len(right)) {
		if c := compareToken(token(left, i), token(right, i)); c != 0 {
			return c
		}
	}
	return 0
}

// epoch takes off what stands before a colon, "0" if nothing does.
func epoch(v string) (e, rest string) {
	if e, rest, ok := strings.Cut(v, ":"); ok && kindOf(e) != kindWord {
		return e, rest
	}
	return "0", v
}

// split returns the runs of digits and of letters, and "-" before what makes a
// version older.
func split(v string) (tokens []string) {
	v = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(v, "v"), "V"), "+incompatible")
	start := 0
	for i := 0; i <= len(v); i++ {
		if i < len(v) && i > start && class(v[i]) == class(v[i-1]) || i < len(v) && i == start && class(v[i]) != other {
			continue
		}
		if i > start {
			tokens = append(tokens, v[start:i])
		}
		if start = i; i < len(v) && class(v[i]) == other {
			start = i + 1
			if older(v[i:]) {
				tokens = append(tokens, "-")
			}
		}
	}
	return tokens
}

// older reports whether a separator begins what comes before the release: always
// "~", and "-" before a word, unless that is a revision such as r3.
func older(v string) bool {
	if v[0] == '~' {
		return true
	}
	word := v[0] == '-' && len(v) > 1 && class(v[1]) == letter
	revision := len(v) > 2 && v[1] == 'r' && class(v[2]) == digit
	return word && !revision
}

// The classes of bytes in a version.
const (
	other = iota
	digit
	letter
)

func class(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return digit
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80:
		return letter
	}
	return other
}

func token(tokens []string, i int) string {
	if i < len(tokens) {
		return tokens[i]
	}
	return ""
}

// The kinds of tokens, the oldest first.
const (
	kindBefore = iota // "-", a word for a version before the release
	kindEnd           // nothing more
	kindWord
	kindNumber
)

func kindOf(t string) int {
	switch {
	case t == "":
		return kindEnd
	case t[0] >= '0' && t[0] <= '9':
		if strings.Trim(t, "0") == "" {
			return kindEnd // 1.0 is 1
		}
		return kindNumber
	}
	switch strings.ToLower(t) {
	case "-", "alpha", "beta", "rc", "pre", "dev", "snapshot":
		return kindBefore
	}
	return kindWord
}

func compareToken(a, b string) int {
	x, y := kindOf(a), kindOf(b)
	if x != y {
		return cmp.Compare(x, y)
	}
	if x != kindNumber {
		if x == kindEnd {
			return 0
		}
		return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}
