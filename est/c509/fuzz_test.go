package c509_test

import (
	"bytes"
	"testing"

	"steward/est/c509"
)

// seed adds the files of vectors of a kind.
func seed(f *testing.F, kind string) {
	f.Helper()
	for _, v := range vectors(f) {
		for name := range v.Files {
			if v.Kind == kind && name != "key_pkcs8_b64" {
				f.Add(v.file(f, name))
			}
		}
	}
}

// FuzzCertificate asserts that what is read as type 3 gives DER that comes back by
// way of our own encoding, and that both encodings are of one certificate.
func FuzzCertificate(f *testing.F) {
	seed(f, "cert")
	f.Fuzz(func(t *testing.T, b []byte) {
		cert, err := c509.ParseCertificate(b)
		if err != nil {
			return
		}
		if again, err := c509.ParseCertificate(cert.Raw); err != nil || !bytes.Equal(again.DER, cert.DER) {
			t.Fatalf("array of %x is not it: %v", b, err)
		}
		if cert.Type != c509.Reencoded {
			return
		}
		ours, err := c509.FromDER(cert.DER)
		if err != nil {
			t.Fatalf("FromDER(%x), rebuilt from %x: %v", cert.DER, b, err)
		}
		if der, err := c509.ToDER(ours); err != nil || !bytes.Equal(der, cert.DER) {
			t.Fatalf("ToDER(%x) = %x, %v, want %x", ours, der, err, cert.DER)
		}
	})
}

// FuzzRequest asserts the same of requests.
func FuzzRequest(f *testing.F) {
	seed(f, "csr")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := c509.ParseRequest(b)
		if err != nil {
			return
		}
		_ = r.Verify()
		if r.Type != c509.Reencoded {
			return
		}
		ours, err := c509.Options{}.RequestFromDER(r.DER)
		if err != nil {
			t.Fatalf("RequestFromDER(%x), rebuilt from %x: %v", r.DER, b, err)
		}
		if der, err := c509.RequestToDER(ours); err != nil || !bytes.Equal(der, r.DER) {
			t.Fatalf("RequestToDER(%x) = %x, %v, want %x", ours, der, err, r.DER)
		}
	})
}

// FuzzDER asserts that DER is encoded to what decodes to it, or refused.
func FuzzDER(f *testing.F) {
	seed(f, "cert")
	f.Fuzz(func(t *testing.T, der []byte) {
		short, err := c509.Options{Uncompressed: len(der)%2 == 0}.FromDER(der)
		if err != nil {
			return
		}
		if back, err := c509.ToDER(short); err != nil || !bytes.Equal(back, der) {
			t.Fatalf("ToDER(FromDER(%x)) = %x, %v", der, back, err)
		}
	})
}

// FuzzTemplate asserts that a template that is read is written as it came.
func FuzzTemplate(f *testing.F) {
	seed(f, "csrt")
	f.Fuzz(func(t *testing.T, b []byte) {
		template, err := c509.ParseTemplate(b)
		if err != nil || b[0] != 0x87 {
			return
		}
		again, err := template.Encode()
		if err != nil {
			t.Fatalf("Encode() of %x: %v", b, err)
		}
		if second, err := c509.ParseTemplate(again); err != nil || len(second.Extensions) != len(template.Extensions) {
			t.Fatalf("%x written as %x: %v", b, again, err)
		}
	})
}

// FuzzChain asserts that a chain that is read is written as it came.
func FuzzChain(f *testing.F) {
	cert := with(nil)
	f.Add(c509.Chain(cert))
	f.Add(c509.Chain(cert, cert))
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := c509.ParseChain(b)
		if err != nil {
			return
		}
		var raw [][]byte
		for _, c := range certs {
			raw = append(raw, c.Raw)
		}
		if got := c509.Chain(raw...); !bytes.Equal(got, b) {
			t.Fatalf("Chain(ParseChain(%x)) = %x", b, got)
		}
	})
}
