package onboard

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"steward/web"
)

// Limits of a list.
const (
	MaxLines = web.MaxImport
	MaxList  = 4 << 20 // bytes; a certificate in base64 is below 1 KiB
)

// Columns are those that a list may have, in any order; endpoint or certificate must
// be among them.
func Columns() []string {
	return []string{
		"endpoint", "security", "use", "identity", "key", "public_key", "certificate", "tags", "key_origin",
	}
}

// A Line is one device of a list.
type Line struct {
	Number  int    // in the text, the first being 1
	Text    string // as it stands there
	Entry   Entry
	Problem error // why it cannot be used; nil: it can
}

// A List is a list of devices.
type List struct {
	Header string // as it stands in the text
	Lines  []Line
}

// ParseList reads a list (RFC 4180) whose first line names the columns. A line that
// cannot be used says why; the others stand. It returns ErrList for a text without a
// header, with columns that nobody knows, without a device, or that is too long.
func ParseList(text string) (List, error) {
	if len(text) > MaxList {
		return List{}, fmt.Errorf("%w: more than %d bytes", ErrList, MaxList)
	}
	text = strings.TrimPrefix(text, "\ufeff") // as spreadsheets write it
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	r.Comma = separator(text)
	header, err := r.Read()
	if err != nil {
		return List{}, fmt.Errorf("%w: the first line has to name the columns", ErrList)
	}
	columns, err := parseHeader(header)
	if err != nil {
		return List{}, err
	}
	out := List{Header: strings.TrimRight(text[:r.InputOffset()], "\r\n")}
	seen := map[string]int{}
	for {
		from := r.InputOffset()
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if len(out.Lines) >= MaxLines {
			return List{}, fmt.Errorf("%w: more than %d devices", ErrList, MaxLines)
		}
		out.Lines = append(out.Lines, parseLine(text, from, r, columns, fields, err, seen))
	}
	if len(out.Lines) == 0 {
		return List{}, fmt.Errorf("%w: no device follows the first line", ErrList)
	}
	return out, nil
}

// separator is what the first line has more of: a comma, or the semicolon of
// spreadsheets in many languages.
func separator(text string) rune {
	first, _, _ := strings.Cut(text, "\n")
	if strings.Count(first, ";") > strings.Count(first, ",") {
		return ';'
	}
	return ','
}

func parseHeader(header []string) ([]string, error) {
	var columns []string
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(Columns(), name) {
			return nil, fmt.Errorf("%w: there is no column %.40q; there are %s", ErrList, name, strings.Join(Columns(), ", "))
		}
		if slices.Contains(columns, name) {
			return nil, fmt.Errorf("%w: the column %s stands there twice", ErrList, name)
		}
		columns = append(columns, name)
	}
	if !slices.Contains(columns, "endpoint") && !slices.Contains(columns, "certificate") {
		return nil, fmt.Errorf("%w: it needs a column endpoint or certificate", ErrList)
	}
	return columns, nil
}

// parseLine reads the record that began at from.
func parseLine(
	text string, from int64, r *csv.Reader, columns, fields []string, err error, seen map[string]int,
) Line {
	raw := text[from:r.InputOffset()]
	trimmed := strings.TrimLeft(raw, "\r\n")
	l := Line{
		Number: 1 + strings.Count(text[:int(from)+len(raw)-len(trimmed)], "\n"),
		Text:   strings.TrimRight(trimmed, "\r\n"),
	}
	switch {
	case err != nil:
		l.Problem = fmt.Errorf("%w: quotes: %w", ErrEntry, errors.Unwrap(err))
	case len(fields) > len(columns):
		l.Problem = fmt.Errorf("%w: %d fields, the first line has %d", ErrEntry, len(fields), len(columns))
	default:
		l.Entry, l.Problem = parseFields(columns, fields)
	}
	if name := l.Entry.Endpoint; l.Problem == nil && name != "" {
		if before, twice := seen[name]; twice {
			l.Problem = fmt.Errorf("%w: the endpoint stands in line %d already", ErrEntry, before)
		}
		seen[name] = l.Number
	}
	return l
}

func parseFields(columns, fields []string) (e Entry, err error) {
	for i, value := range fields {
		value = strings.TrimSpace(value)
		var wrong error
		switch columns[i] {
		case "endpoint":
			e.Endpoint = value
		case "security":
			e.Security = Security(strings.ToLower(value))
		case "use":
			e.Use = web.KeyUse(strings.ToLower(value))
		case "identity":
			e.Identity = value
		case "key":
			e.Key, wrong = parseKey(value)
		case "public_key":
			e.PublicKey = value
		case "certificate":
			e.Certificate, wrong = parseCertificate(value)
		case "tags":
			e.Tags = strings.Fields(value)
		case "key_origin":
			e.KeyOrigin = value
		}
		err = errors.Join(err, wrong)
	}
	if err != nil {
		return e, err
	}
	return e, e.Complete()
}
