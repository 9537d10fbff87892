package c509_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"steward/est/c509"
)

// TestBouncyCastle compares with what another implementation makes of certificates
// and requests, in both directions.
func TestBouncyCastle(t *testing.T) {
	text, err := os.ReadFile("testdata/bouncycastle-1.87.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "#" {
			continue
		}
		der, want := unhex(f[1]), unhex(f[2])
		encode, decode := c509.FromDER, c509.ToDER
		if f[0] == "request" {
			encode, decode = c509.Options{}.RequestFromDER, c509.RequestToDER
		}
		if got, err := encode(der); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %x encoded: %x, %v, want %x", f[0], der, got, err, want)
		}
		if got, err := decode(want); err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s %x decoded: %x, %v, want %x", f[0], want, got, err, der)
		}
		n++
	}
	if n < 20 {
		t.Errorf("%d structures", n)
	}
}
