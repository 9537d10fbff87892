// Package batch reads and writes lists of factory certificates, as factories and
// providers hand them to each other: CSV, PEM, and the bags of certificates that
// COSE has, of X.509 (RFC 9360, x5bag) and of C509 (c5b).
package batch

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"steward/est"
	"steward/est/c509"
)

// ErrList reports a list that cannot be read; the text says where and why.
var ErrList = errors.New("unusable list of certificates")

// Limits of a list.
const (
	MaxEntries = 100_000
	MaxSize    = 256 << 20 // bytes of a list
	maxEntry   = 32 << 10  // bytes of a certificate
	maxTags    = 32
)

// An Entry is a factory certificate, and what is told about it.
type Entry struct {
	Certificate []byte // DER
	Endpoint    string // "": what the certificate says
	KeyOrigin   est.KeyOrigin
	Tags        []string
}

// A Format is how a list is written.
type Format string

// The formats.
const (
	CSV   Format = "csv"   // columns certificate (PEM, or DER in base64), endpoint, key_origin, tags; in any order
	PEM   Format = "pem"   // certificates one after the other
	X5Bag Format = "x5bag" // COSE_X509 in CBOR: a byte string, or an array of them
	C5B   Format = "c5b"   // COSE_C509 likewise
)

// Formats lists them.
func Formats() []Format { return []Format{CSV, PEM, X5Bag, C5B} }

// FormatOf returns the format that the name of a file tells by its ending.
func FormatOf(path string) (Format, error) {
	f := Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."))
	if !slices.Contains(Formats(), f) {
		return "", fmt.Errorf("%w: %s: the name ends in none of .csv, .pem, .x5bag and .c5b", ErrList, path)
	}
	return f, nil
}

// Read reads a list of that format. It returns ErrList.
func Read(raw []byte, f Format) ([]Entry, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrList, len(raw), MaxSize)
	}
	var out []Entry
	var err error
	switch f {
	case CSV:
		out, err = readCSV(raw)
	case PEM:
		out, err = readPEM(raw)
	case X5Bag:
		out, err = readBag(raw, func(der []byte) ([]byte, error) { return der, nil })
	case C5B:
		out, err = readBag(raw, c509.ToDER)
	default:
		return nil, fmt.Errorf("%w: format %.20q", ErrList, f)
	}
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%w: it has no certificate", ErrList)
	}
	return out, err
}

// Write writes a list. Only CSV tells more than the certificates. It returns an error
// of c509 for a certificate that C509 cannot carry.
func Write(w io.Writer, f Format, list []Entry) error {
	switch f {
	case CSV:
		return writeCSV(w, list)
	case PEM:
		for _, e := range list {
			if err := pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate}); err != nil {
				return err
			}
		}
		return nil
	case X5Bag:
		return writeBag(w, list, func(der []byte) ([]byte, error) { return der, nil })
	case C5B:
		return writeBag(w, list, c509.FromDER)
	}
	return fmt.Errorf("%w: format %.20q", ErrList, f)
}

// columns of a CSV list.
const (
	columnCertificate = "certificate"
	columnEndpoint    = "endpoint"
	columnOrigin      = "key_origin"
	columnTags        = "tags" // separated by blanks
)

func readCSV(raw []byte) ([]Entry, error) {
	r := csv.NewReader(bytes.NewReader(raw))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: first line: %w", ErrList, err)
	}
	place := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		known := []string{columnCertificate, columnEndpoint, columnOrigin, columnTags}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: column %.40q; the columns are %s", ErrList, name, strings.Join(known, ", "))
		}
		place[name] = i
	}
	if _, ok := place[columnCertificate]; !ok {
		return nil, fmt.Errorf("%w: no column %s in the first line", ErrList, columnCertificate)
	}
	var out []Entry
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrList, err)
		}
		if len(out) == MaxEntries {
			return nil, errMany
		}
		line, _ := r.FieldPos(0)
		e, err := entryOf(row, place)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrList, line, err)
		}
		out = append(out, e)
	}
}

var errMany = fmt.Errorf("%w: more than %d certificates", ErrList, MaxEntries)

// entryOf reads a line.
func entryOf(row []string, place map[string]int) (e Entry, err error) {
	field := func(name string) string {
		if i, ok := place[name]; ok {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	if e.Certificate, err = certificateOf(field(columnCertificate)); err != nil {
		return e, err
	}
	e.Endpoint = strings.Clone(field(columnEndpoint))
	if e.KeyOrigin, err = est.ParseKeyOrigin(strings.Clone(field(columnOrigin))); err != nil {
		return e, err
	}
	if e.Tags = strings.Fields(strings.Clone(field(columnTags))); len(e.Tags) > maxTags {
		return e, fmt.Errorf("%d tags, want at most %d", len(e.Tags), maxTags)
	}
	return e, nil
}

// certificateOf reads PEM, or DER in base64.
func certificateOf(text string) ([]byte, error) {
	if len(text) > 2*maxEntry {
		return nil, fmt.Errorf("a certificate of %d characters", len(text))
	}
	if strings.HasPrefix(text, "-----BEGIN") {
		block, rest := pem.Decode([]byte(text + "\n"))
		if block == nil || block.Type != "CERTIFICATE" || len(block.Bytes) == 0 || len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("not one certificate in PEM")
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(der) == 0 {
		return nil, errors.New("certificate is neither PEM nor base64")
	}
	return der, nil
}

func writeCSV(w io.Writer, list []Entry) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{columnEndpoint, columnOrigin, columnTags, columnCertificate}); err != nil {
		return err
	}
	for _, e := range list {
		err := out.Write([]string{
			e.Endpoint, string(e.KeyOrigin), strings.Join(e.Tags, " "),
			base64.StdEncoding.EncodeToString(e.Certificate),
		})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func readPEM(raw []byte) ([]Entry, error) {
	var out []Entry
	for {
		block, rest := pem.Decode(raw)
		if block == nil {
			if len(bytes.TrimSpace(raw)) > 0 {
				return nil, fmt.Errorf("%w: after %d certificates comes something else", ErrList, len(out))
			}
			return out, nil
		}
		if size := len(block.Bytes); block.Type != "CERTIFICATE" || size == 0 || size > maxEntry {
			return nil, fmt.Errorf("%w: %.40q of %d bytes after %d certificates", ErrList, block.Type, size, len(out))
		}
		if len(out) == MaxEntries {
			return nil, errMany
		}
		out, raw = append(out, Entry{Certificate: block.Bytes}), rest
	}
}

func readBag(raw []byte, der func([]byte) ([]byte, error)) ([]Entry, error) {
	const few = 2 // one alone is a byte string (RFC 9360 §2)
	mode, err := cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, MaxArrayElements: MaxEntries,
	}.DecMode()
	if err != nil {
		return nil, err
	}
	const byteString = 2
	var items [][]byte
	if len(raw) > 0 && raw[0]>>5 == byteString {
		items = make([][]byte, 1)
		err = mode.Unmarshal(raw, &items[0])
	} else if err = mode.Unmarshal(raw, &items); err == nil && len(items) < few {
		err = fmt.Errorf("a bag of %d in an array", len(items))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrList, err)
	}
	out := make([]Entry, len(items))
	for i, item := range items {
		if len(item) == 0 || len(item) > maxEntry {
			return nil, fmt.Errorf("%w: certificate %d has %d bytes", ErrList, i+1, len(item))
		}
		if out[i].Certificate, err = der(item); err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrList, i+1, err)
		}
	}
	return out, nil
}

func writeBag(w io.Writer, list []Entry, encode func([]byte) ([]byte, error)) error {
	items := make([][]byte, len(list))
	for i, e := range list {
		var err error
		if items[i], err = encode(e.Certificate); err != nil {
			return fmt.Errorf("certificate %d: %w", i+1, err)
		}
	}
	var bag any = items
	if len(items) == 1 {
		bag = items[0]
	}
	raw, err := cbor.Marshal(bag)
	if err != nil {
		return err
	}
	_, err = w.Write(raw)
	return err
}
