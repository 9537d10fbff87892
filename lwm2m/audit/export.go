package audit

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Format is how rows are written to a file.
type Format string

// The formats. Both hold what the hashes are made of, byte by byte.
const (
	NDJSON Format = "ndjson" // a JSON object on each line
	CSV    Format = "csv"    // RFC 4180, with a line of names
)

// ErrFormat reports a file that holds no rows in a known format.
var ErrFormat = errors.New("no audit rows in a known format")

// maxLine bounds a row in a file: texts of rows are a few KiB.
const maxLine = 1 << 20

// A line is a row as files have it. Times have microseconds.
type line struct {
	ID      int64  `json:"id"`
	At      string `json:"at"`
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Prev    string `json:"prev"`
	Hash    string `json:"hash"`
	Escaped bool   `json:"escaped,omitempty"` // texts are written as escape does: always in CSV
}

// texts are the members that people and devices fill.
func (l *line) texts() []*string {
	return []*string{&l.Actor, &l.Action, &l.Subject, &l.Reason, &l.Before, &l.After}
}

// columns are the names in CSV.
func columns() []string {
	return []string{"id", "at", "actor", "action", "subject", "reason", "before", "after", "prev", "hash"}
}

// stamp is RFC 3339 with microseconds.
const stamp = "2006-01-02T15:04:05.000000Z07:00"

// lineOf returns the line of a row, escaped if need be or if all are.
func lineOf(r Record, escaped bool) line {
	l := line{
		r.ID, r.At.UTC().Format(stamp), r.Actor, r.Action, r.Subject, r.Reason, r.Before, r.After,
		hex.EncodeToString(r.Prev[:]), hex.EncodeToString(r.Hash[:]), escaped,
	}
	for _, text := range l.texts() {
		l.Escaped = l.Escaped || !utf8.ValidString(*text)
	}
	if l.Escaped {
		for _, text := range l.texts() {
			*text = escape(*text)
		}
	}
	return l
}

func (l line) record() (Record, error) {
	for _, text := range l.texts() {
		plain, ok := unescape(*text)
		if l.Escaped && !ok {
			return Record{}, fmt.Errorf("%w: row %d", ErrFormat, l.ID)
		}
		if l.Escaped {
			*text = plain
		}
	}
	at, err := time.Parse(stamp, l.At)
	r := Record{ID: l.ID, Row: Row{
		Actor: l.Actor, Action: l.Action, Subject: l.Subject, Reason: l.Reason, Before: l.Before, After: l.After, At: at,
	}}
	prev, err1 := hex.DecodeString(l.Prev)
	hash, err2 := hex.DecodeString(l.Hash)
	if errors.Join(err, err1, err2) != nil || copy(r.Prev[:], prev) != len(r.Prev) || len(prev) != len(r.Prev) ||
		copy(r.Hash[:], hash) != len(r.Hash) || len(hash) != len(r.Hash) {
		return Record{}, fmt.Errorf("%w: row %d", ErrFormat, l.ID)
	}
	return r, nil
}

// A Writer writes rows in a format.
type Writer struct {
	json *json.Encoder
	csv  *csv.Writer
}

// NewWriter returns a Writer to w, which has written the names of CSV. It returns
// ErrFormat for an unknown format.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	switch f {
	case NDJSON:
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return &Writer{json: e}, nil
	case CSV:
		c := csv.NewWriter(w)
		return &Writer{csv: c}, c.Write(columns())
	default:
		return nil, fmt.Errorf("%w: %.20q", ErrFormat, string(f))
	}
}

// Write writes rows.
func (w *Writer) Write(rows []Record) error {
	for _, r := range rows {
		l := lineOf(r, w.csv != nil)
		if w.json != nil {
			if err := w.json.Encode(l); err != nil {
				return err
			}
			continue
		}
		err := w.csv.Write([]string{
			strconv.FormatInt(l.ID, 10), l.At, l.Actor, l.Action, l.Subject, l.Reason, l.Before, l.After, l.Prev, l.Hash,
		})
		if err != nil {
			return err
		}
	}
	if w.csv != nil {
		w.csv.Flush()
		return w.csv.Error()
	}
	return nil
}

// Read calls each with every row of a file, in its order. The format is told by the
// first byte. It returns ErrFormat for what is no row.
func Read(r io.Reader, each func(Record)) error {
	b := bufio.NewReader(r)
	first, err := b.Peek(1)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: an empty file", ErrFormat)
	case err != nil:
		return err
	case first[0] == '{':
		return readNDJSON(b, each)
	default:
		return readCSV(b, each)
	}
}

func readNDJSON(r io.Reader, each func(Record)) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			return fmt.Errorf("%w: line %d", ErrFormat, n)
		}
		rec, err := l.record()
		if err != nil {
			return err
		}
		each(rec)
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%w: a line of more than %d bytes", ErrFormat, maxLine)
	}
	return s.Err()
}

func readCSV(r io.Reader, each func(Record)) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord = len(columns())
	for n := 0; ; n++ {
		f, err := c.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", ErrFormat, err)
		case n == 0:
			if f[0] != "id" {
				return fmt.Errorf("%w: no line of names", ErrFormat)
			}
			continue
		}
		id, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return fmt.Errorf("%w: row %d", ErrFormat, n)
		}
		rec, err := line{id, f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], true}.record()
		if err != nil {
			return err
		}
		each(rec)
	}
}
