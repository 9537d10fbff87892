package estcoap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"steward/est/c509"
)

// TestLibcoapC509 has an independent client carry C509, at all block sizes that EST
// is tested with.
func TestLibcoapC509(t *testing.T) {
	program, err := exec.LookPath("coap-client-openssl")
	if err != nil {
		t.Skip("no coap-client-openssl")
	}
	w := newC509World(t, time.Now)
	w.open(t)
	uri, dir := serve(t, w), t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(w.device.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, short, _ := requests(t, endpoint)
	common := []string{
		"-c", file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.device.DER})),
		"-j", file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"-C", file("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Root().Raw})),
		"-B", "90",
	}
	request := file("request.c509", short)
	var first []byte
	for _, size := range []string{"16", "64", "512", "1024"} {
		run := func(path string, more ...string) []byte {
			out := filepath.Join(dir, "answer")
			args := append(append([]string{"-b", size, "-o", out}, common...), append(more, uri+path)...)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if text, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, text)
			}
			answer, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		chain, err := c509.ParseChain(run("/est/crts", "-A", "65003"))
		if err != nil || len(chain) != 2 || !bytes.Equal(chain[1].DER, w.ca.Root().Raw) {
			t.Errorf("blocks of %s: crts: %d certificates, %v", size, len(chain), err)
		}
		answer := run("/est/sen", "-m", "post", "-t", "65001", "-A", "65002", "-f", request)
		der, err := c509.ToDER(answer)
		if err != nil {
			t.Fatalf("blocks of %s: sen: %x, %v", size, answer, err)
		}
		leaf := parse(t, der)
		if err := leaf.CheckSignatureFrom(parse(t, chain[0].DER)); err != nil || leaf.Subject.CommonName != endpoint {
			t.Errorf("blocks of %s: sen: %s, %v", size, leaf.Subject, err)
		}
		if first == nil {
			first = answer
		}
		if !bytes.Equal(answer, first) {
			t.Errorf("blocks of %s: the same request got another certificate", size)
		}
	}
}
