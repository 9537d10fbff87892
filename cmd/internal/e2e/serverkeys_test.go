package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steward/est/estcoap"
)

// TestServerKeys has a provider make the key of a device that asks by libcoap's
// client below a label. The same request gets the same key, also after kill -9, and
// the key is in no file of the provider, nor in its log.
func TestServerKeys(t *testing.T) {
	slow(t)
	t.Parallel()
	settings := filepath.Join(t.TempDir(), "alpha.toml")
	if err := os.WriteFile(settings, []byte("[est.labels.keys]\nserver-keys = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	alpha, maker := serve(t, "Alpha", "--config", settings), newFactory(t)
	device := maker.device(t, "urn:dev:keyless")
	alpha.deliver(t, maker, device)
	d := newDesk(t)
	d.roots(t, alpha)
	links, text := d.coap(t, device, 64, alpha.uri()+"/.well-known/core?rt=ace.est.sk*")
	if !strings.Contains(string(links), "</.well-known/est/keys/skc>") || strings.Contains(string(links), "</est/skc>") {
		t.Errorf("links %s %s", links, text)
	}
	d.run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "any.key")
	d.run(t, "openssl", "req", "-new", "-key", "any.key", "-subj", "/CN="+device.endpoint, "-outform", "DER",
		"-out", "any.csr")
	ask := func(path string) ([]byte, string) {
		t.Helper()
		return d.coap(t, device, 64, alpha.uri()+path, "-m", "post", "-t", "286", "-A", "62", "-f", "any.csr")
	}
	if body, text := ask("/est/skc"); !strings.Contains(text, "4.03") {
		t.Errorf("skc at /est: %d bytes, %q, want 4.03", len(body), text)
	}
	first, text := ask("/.well-known/est/keys/skc")
	parts, err := estcoap.DecodeMultipart(first)
	if err != nil || len(parts) != 2 {
		t.Fatalf("skc: %v, %q", err, text)
	}
	made, err := x509.ParsePKCS8PrivateKey(parts[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "made.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: parts[0].Body}))
	d.write(t, "made.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parts[1].Body}))
	if a, b := d.run(t, "openssl", "pkey", "-in", "made.key", "-pubout"),
		d.run(t, "openssl", "x509", "-in", "made.pem", "-noout", "-pubkey"); a != b {
		t.Error("the certificate is for another key")
	}
	alpha.kill()
	alpha.restart(t)
	if again, text := ask("/.well-known/est/keys/skc"); !bytes.Equal(again, first) {
		t.Errorf("after kill -9 the same request gave %d bytes, %q, want the same %d", len(again), text, len(first))
	}
	number, err := made.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(alpha.logs.String(), string(number)) {
		t.Error("the key is in the log")
	}
	err = filepath.WalkDir(alpha.data, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, number) {
			t.Errorf("%s has the key in the clear", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
