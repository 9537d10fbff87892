package estcoap_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smallstep/pkcs7"

	"steward/est/estcoap"
	"steward/est/esttest"
)

func encode(tb testing.TB, certs ...*x509.Certificate) []byte {
	tb.Helper()
	out, err := estcoap.EncodeCertsOnly(certs...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestDecodeCertsOnly(t *testing.T) {
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now)
	good := encode(t, ca.Chain()...)
	one := ca.Certificate()
	signed, err := pkcs7.NewSignedData([]byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	signed.AddCertificate(one)
	content, err := signed.Finish()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"two certificates", good, nil},
		{"empty", nil, estcoap.ErrPKCS7},
		{"a certificate", one.Raw, estcoap.ErrPKCS7},
		{"no certificate", encode(t), estcoap.ErrPKCS7},
		{"nine certificates", encode(t, one, one, one, one, one, one, one, one, one), estcoap.ErrPKCS7},
		{"trailing byte", append(bytes.Clone(good), 0), estcoap.ErrPKCS7},
		{"cut short", good[:len(good)-1], estcoap.ErrPKCS7},
		{"with content", content, estcoap.ErrPKCS7},
		{"other content type", bytes.Replace(good, []byte{1, 7, 2}, []byte{1, 7, 3}, 1), estcoap.ErrPKCS7},
		{"too large", make([]byte, 1<<17), estcoap.ErrPKCS7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := estcoap.DecodeCertsOnly(tt.in)
			if !errors.Is(err, tt.err) {
				t.Fatalf("DecodeCertsOnly = %v, want %v", err, tt.err)
			}
			if err == nil && (len(got) != 2 || !got[0].Equal(one) || !got[1].Equal(ca.Root())) {
				t.Errorf("DecodeCertsOnly = %d certificates", len(got))
			}
		})
	}
}

// TestOpenSSLCertsOnly reads what openssl makes, and lets it read what we make.
func TestOpenSSLCertsOnly(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pem"), filepath.Join(dir, "out.der")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Root().Raw})
	if err := os.WriteFile(in, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		if text, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, text)
		}
	}
	run("crl2pkcs7", "-nocrl", "-certfile", in, "-outform", "DER", "-out", out)
	der, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := estcoap.DecodeCertsOnly(der); err != nil || len(got) != 1 || !got[0].Equal(ca.Root()) {
		t.Errorf("DecodeCertsOnly = %d certificates, %v", len(got), err)
	}
	ours := filepath.Join(dir, "ours.der")
	if err := os.WriteFile(ours, encode(t, ca.Chain()...), 0o600); err != nil {
		t.Fatal(err)
	}
	run("pkcs7", "-inform", "DER", "-in", ours, "-print_certs")
}

// FuzzDecodeCertsOnly: no panic, at most eight certificates, and what was read
// reads the same when it is written again.
func FuzzDecodeCertsOnly(f *testing.F) {
	clock := esttest.NewClock()
	ca := esttest.NewCA(f, "Alpha", &esttest.Store{}, clock.Now)
	f.Add(encode(f, ca.Chain()...))
	f.Add(encode(f))
	f.Add([]byte{0x30, 0x80, 0x06, 0x00, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := estcoap.DecodeCertsOnly(in)
		if err != nil {
			return
		}
		if len(got) == 0 || len(got) > 8 {
			t.Errorf("%d certificates", len(got))
		}
		again, err := estcoap.DecodeCertsOnly(encode(t, got...))
		if err != nil || len(again) != len(got) || !again[0].Equal(got[0]) {
			t.Errorf("decode of encode: %v", err)
		}
	})
}
