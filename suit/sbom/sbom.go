// Package sbom reads bills of materials (CycloneDX, SPDX) and vulnerability lists
// (OSV, OpenVEX, CycloneDX), and says which parts of a bill a vulnerability
// concerns. It performs no I/O.
package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The reasons for which documents are refused.
var (
	// ErrFormat reports a document of a format, or version, that is not read here.
	ErrFormat = errors.New("unknown format of document")
	// ErrSyntax reports a document that is not what it says it is.
	ErrSyntax = errors.New("malformed document")
	// ErrLimit reports a document with more in it than is taken.
	ErrLimit = errors.New("document is too large")
)

// The bounds of documents.
const (
	// MaxDocument is the length in bytes of the longest document: the bill of a
	// Linux image with ten thousand packages has about 10 MiB.
	MaxDocument = 16 << 20
	// MaxParts is the number of parts of the longest bill.
	MaxParts = 20_000
	// MaxAdvisories is the number of vulnerabilities of the longest list.
	MaxAdvisories = 20_000

	maxStatements = 2_000 // of one vulnerability
	maxRanges     = 500   // of versions, in one statement
	maxAliases    = 32    // of one vulnerability
	maxDepth      = 8     // of components within components
	maxText       = 400   // characters kept of a text for people
	maxName       = 512   // bytes of names, versions and identifiers
)

// decode reads one JSON value of at most MaxDocument bytes into v. Members that v
// has not are passed over: the formats have many.
func decode(raw []byte, v any) error {
	if len(raw) > MaxDocument {
		return fmt.Errorf("%w: %d bytes", ErrLimit, len(raw))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one JSON value", ErrSyntax)
	}
	return nil
}

// name checks what identifies something: short, and printable.
func name(what, text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxName || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%w: %s of %d bytes", ErrSyntax, what, len(text))
	}
	return text, nil
}

// prose returns the beginning of a text for people, in one line.
func prose(text string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
	text = strings.Join(words, " ")
	for n := range text {
		if utf8.RuneCountInString(text[:n]) >= maxText {
			return text[:n] + "…"
		}
	}
	return text
}
