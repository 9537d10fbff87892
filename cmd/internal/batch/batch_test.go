package batch_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
	"testing"

	"steward/cmd/internal/batch"
	"steward/est"
	"steward/est/esttest"
)

// list returns n entries with certificates of a factory.
func list(tb testing.TB, n int) []batch.Entry {
	tb.Helper()
	factory := esttest.NewFactory(tb, esttest.NewClock().Now)
	out := make([]batch.Entry, n)
	for i := range out {
		name := "line-" + string(rune('a'+i))
		out[i] = batch.Entry{
			Certificate: esttest.NewDevice(tb, factory, name).DER, Endpoint: name, KeyOrigin: est.OriginDevice,
			Tags: []string{"batch:7", "site:x"},
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		want := list(t, n)
		for _, f := range batch.Formats() {
			var b bytes.Buffer
			if err := batch.Write(&b, f, want); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			got, err := batch.Read(b.Bytes(), f)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			expected := want
			if f != batch.CSV {
				expected = nil
				for _, e := range want {
					expected = append(expected, batch.Entry{Certificate: e.Certificate})
				}
			}
			if !reflect.DeepEqual(got, expected) {
				t.Errorf("%s of %d: %+v, want %+v", f, n, got, expected)
			}
		}
	}
}

func TestCSV(t *testing.T) {
	e := list(t, 1)[0]
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate}))
	got, err := batch.Read([]byte("\ufeffEndpoint,certificate\nline-a,\""+text+"\"\n"), batch.CSV)
	if err != nil || len(got) != 1 || got[0].Endpoint != "line-a" || !bytes.Equal(got[0].Certificate, e.Certificate) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBadLists(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(list(t, 1)[0].Certificate)
	for _, tt := range []struct {
		name string
		raw  string
		f    batch.Format
	}{
		{"empty", "", batch.CSV},
		{"no rows", "certificate\n", batch.CSV},
		{"no certificate column", "endpoint\nx\n", batch.CSV},
		{"unknown column", "certificate,colour\n", batch.CSV},
		{"not base64", "certificate\n%%%\n", batch.CSV},
		{"other PEM", "certificate\n\"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\"\n", batch.CSV},
		{"origin", "certificate,key_origin\n" + good + ",moon\n", batch.CSV},
		{"too few columns", "certificate,endpoint\n" + good + "\n", batch.CSV},
		{"too many tags", "certificate,tags\n" + good + "," + strings.Repeat("t ", 40) + "\n", batch.CSV},
		{"long certificate", "certificate\n" + strings.Repeat("A", 70_000) + "\n", batch.CSV},
		{"no PEM", "text", batch.PEM},
		{"empty PEM", "", batch.PEM},
		{"bag of one in an array", "\x81\x41\x00", batch.X5Bag},
		{"bag of nothing", "\x80", batch.X5Bag},
		{"bag of indefinite length", "\x9f\x41\x00\x41\x00\xff", batch.X5Bag},
		{"bag of numbers", "\x82\x01\x02", batch.X5Bag},
		{"bag cut short", "\x82\x41\x00", batch.X5Bag},
		{"trailing bytes", "\x41\x00\x00", batch.X5Bag},
		{"bag of something else", "\x82\x41\x00\x41\x00", batch.C5B},
		{"format", "x", "zip"},
	} {
		if _, err := batch.Read([]byte(tt.raw), tt.f); !errors.Is(err, batch.ErrList) {
			t.Errorf("%s: %v, want ErrList", tt.name, err)
		}
	}
	if err := batch.Write(&bytes.Buffer{}, "zip", nil); !errors.Is(err, batch.ErrList) {
		t.Errorf("Write: %v, want ErrList", err)
	}
	if _, err := batch.FormatOf("list.zip"); !errors.Is(err, batch.ErrList) {
		t.Errorf("FormatOf: %v, want ErrList", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, format := range batch.Formats() {
		var b bytes.Buffer
		if err := batch.Write(&b, format, list(f, 2)); err != nil {
			f.Fatal(err)
		}
		f.Add(string(format), b.Bytes())
	}
	f.Fuzz(func(t *testing.T, format string, raw []byte) {
		got, err := batch.Read(raw, batch.Format(format))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := batch.Write(&b, batch.CSV, got); err != nil {
			t.Fatal(err)
		}
		if again, err := batch.Read(b.Bytes(), batch.CSV); err != nil || len(again) != len(got) {
			t.Errorf("%d entries written, %d read, %v", len(got), len(again), err)
		}
	})
}
