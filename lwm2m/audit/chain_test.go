package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/audit"
)

// ten is a chain of ten rows with texts that files must not change.
func ten() []audit.Record {
	var rows []audit.Row
	for i := range 10 {
		rows = append(rows, audit.Row{
			Actor: "operator:ann/ci", Action: "x", Subject: fmt.Sprint("s", i), Before: "=1+1",
			Reason: "a \"b\"\n,;<&>\u2028\té\xff\\n",
			After:  "\r\nx", At: time.UnixMicro(1_700_000_000_000_000 + int64(i)),
		})
	}
	return chain(rows...)
}

func TestChecker(t *testing.T) {
	type rows = []audit.Record
	for _, row := range []struct {
		name   string
		change func(rows) rows
		want   string
	}{
		{"intact", func(r rows) rows { return r }, "[]"},
		{"none", func(rows) rows { return nil }, "[]"},
		{"altered", func(r rows) rows { r[3].Reason = "x"; return r }, "[4 altered]"},
		{"altered time", func(r rows) rows { r[9].At = r[9].At.Add(time.Microsecond); return r }, "[10 altered]"},
		{"altered with a new hash", func(r rows) rows {
			r[3].Reason = "x"
			r[3].Hash = audit.Hash(r[3].Prev, r[3].Row)
			return r
		}, "[5 unlinked]"},
		{"one missing", func(r rows) rows { return append(r[:4:4], r[5:]...) }, "[6 missing]"},
		{"first missing", func(r rows) rows { return r[1:] }, "[2 missing]"},
		{"exchanged", func(r rows) rows { r[4], r[5] = r[5], r[4]; return r }, "[6 missing 5 reordered 7 missing]"},
		{"twice", func(r rows) rows { return append(r[:5:5], r[4:]...) }, "[5 reordered]"},
		{"missing and numbered anew", func(r rows) rows {
			r = append(r[:4:4], r[5:]...)
			for i := range r {
				r[i].ID = int64(i + 1)
			}
			return r
		}, "[5 unlinked]"},
		{"two faults", func(r rows) rows { r[1].Actor = "eve"; r[7].After = ""; return r }, "[2 altered 8 altered]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var c audit.Checker
			for _, r := range row.change(ten()) {
				c.Add(r)
			}
			var got []string
			for _, f := range c.Report().Faults {
				got = append(got, fmt.Sprint(f.ID, " ", f.Kind))
			}
			if text := "[" + strings.Join(got, " ") + "]"; text != row.want {
				t.Errorf("faults %s, want %s", text, row.want)
			}
		})
	}
}

func TestExport(t *testing.T) {
	for _, f := range []audit.Format{audit.NDJSON, audit.CSV} {
		var b bytes.Buffer
		w, err := audit.NewWriter(&b, f)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(ten()); err != nil {
			t.Fatal(err)
		}
		var c audit.Checker
		if err := audit.Read(&b, c.Add); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		last := ten()[9]
		r := c.Report()
		if !r.Good() || r.Rows != 10 || r.First != 1 || r.Last != 10 || r.Head != fmt.Sprintf("%x", last.Hash) {
			t.Errorf("%s: %+v", f, r)
		}
	}
	if _, err := audit.NewWriter(nil, "xml"); !errors.Is(err, audit.ErrFormat) {
		t.Errorf("NewWriter(xml) = %v, want ErrFormat", err)
	}
	for _, bad := range []string{
		"", "{}", "{\"id\":1}", "{", "x", "id,at\n", "id,at,actor,action,subject,reason,before,after,prev,hash\nx,,,,,,,,,\n",
		strings.Repeat("{", 2<<20),
	} {
		if err := audit.Read(strings.NewReader(bad), func(audit.Record) {}); !errors.Is(err, audit.ErrFormat) {
			t.Errorf("Read(%.40q) = %v, want ErrFormat", bad, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, format := range []audit.Format{audit.NDJSON, audit.CSV} {
		var b bytes.Buffer
		w, err := audit.NewWriter(&b, format)
		if err != nil || w.Write(ten()[:2]) != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var rows []audit.Record
		if audit.Read(bytes.NewReader(text), func(r audit.Record) { rows = append(rows, r) }) != nil {
			return
		}
		var b bytes.Buffer
		w, err := audit.NewWriter(&b, audit.NDJSON)
		if err != nil || w.Write(rows) != nil {
			t.Fatal("rows that were read cannot be written")
		}
		n := 0
		if len(rows) > 0 && audit.Read(&b, func(audit.Record) { n++ }) != nil || n != len(rows) {
			t.Errorf("%d of %d rows come back", n, len(rows))
		}
	})
}
