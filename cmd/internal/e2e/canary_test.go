package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// dump reads every file below dir, as somebody does who takes memory or disk away.
func dump(t *testing.T, dir string) []byte {
	t.Helper()
	all, err := readAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readAll is dump for other goroutines than the test's.
func readAll(dir string) (all []byte, err error) {
	err = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(name)
		all = append(all, raw...)
		if errors.Is(err, fs.ErrNotExist) { // a new file took its place: who writes goes on
			return nil
		}
		return err
	})
	return all, err
}

// privateKeys returns the P-256 keys in PKCS #8 that raw contains.
func privateKeys(raw []byte) (out []*ecdsa.PrivateKey) {
	const length = 138
	begin := []byte{0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01}
	for {
		i := bytes.Index(raw, begin)
		if i < 0 || len(raw) < i+length {
			return out
		}
		if key, err := x509.ParsePKCS8PrivateKey(raw[i : i+length]); err == nil {
			if k, ok := key.(*ecdsa.PrivateKey); ok {
				out = append(out, k)
			}
		}
		raw = raw[i+1:]
	}
}

// certificates returns the certificates in DER that raw contains.
func certificates(raw []byte) (out []*x509.Certificate) {
	for i := 0; i+4 < len(raw); i++ {
		if raw[i] != 0x30 || raw[i+1] != 0x82 {
			continue
		}
		end := i + 4 + int(raw[i+2])<<8 + int(raw[i+3])
		if end > len(raw) {
			continue
		}
		if c, err := x509.ParseCertificate(raw[i:end]); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// operational returns the keys in raw for which the issuer has made a certificate of a
// device, with that certificate.
func operational(raw []byte, issuer string) (keys []*ecdsa.PrivateKey, certs []*x509.Certificate) {
	all := certificates(raw)
	for _, key := range privateKeys(raw) {
		for _, c := range all {
			known := slices.ContainsFunc(keys, func(k *ecdsa.PrivateKey) bool { return k.Equal(key) })
			if public, ok := c.PublicKey.(*ecdsa.PublicKey); ok && public.Equal(key.Public()) && !known &&
				strings.HasPrefix(c.Issuer.CommonName, issuer) {
				keys, certs = append(keys, key), append(certs, c)
			}
		}
	}
	return keys, certs
}

const canary = "CANARY-OF-ALPHA"

// TestT16Canaries puts words into a device that only Alpha may know, hands the device
// over, and looks for them, and for all that the device had of Alpha, in the memory of
// the device and in all that Beta keeps. It is of row T16 of the transfer protocol (§9).
func TestT16Canaries(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 1)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	name := w.names[0]
	w.alpha.must(t, name, map[string]any{"op": "write", "path": "/3/0/15", "value": canary})
	state := filepath.Join(w.dir, "state")
	before := dump(t, state)
	keys, certs := operational(before, "Alpha")
	atAlpha := bytes.Contains(dump(t, w.alpha.data), []byte(canary))
	if len(keys) == 0 || !bytes.Contains(before, []byte(canary)) || !atAlpha {
		t.Fatalf("before the hand-over: %d operational keys, canary in the memory %t", len(keys),
			bytes.Contains(before, []byte(canary)))
	}
	w.draft(t)
	w.handOver(t, nil)
	for what, raw := range map[string][]byte{"the device's memory": dump(t, state), "Beta's data": dump(t, w.beta.data)} {
		if bytes.Contains(raw, []byte(canary)) {
			t.Errorf("%s contains the canary", what)
		}
		if left, _ := operational(raw, "Alpha"); len(left) > 0 {
			t.Errorf("%s contains %d operational keys of Alpha's time", what, len(left))
		}
		for i, key := range keys {
			secret, err := key.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(raw, secret) || bytes.Contains(raw, certs[i].Raw) {
				t.Errorf("%s contains the former key, or its certificate", what)
			}
		}
	}
	if now, _ := operational(dump(t, state), "Beta"); len(now) != 1 {
		t.Errorf("the device has %d operational keys of Beta, want one", len(now))
	}
}

// TestT3FormerKey hands a device over and tries what its operational key of before still
// opens, at every door of both providers; CRL and OCSP agree. It is of row T3 of the transfer protocol (§9).
func TestT3FormerKey(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 1)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	keys, certs := operational(dump(t, filepath.Join(w.dir, "state")), "Alpha")
	if len(keys) != 1 {
		t.Fatalf("%d operational keys in the device's memory", len(keys))
	}
	w.draft(t)
	w.handOver(t, nil)
	w.formerKey(t, keys[0], certs[0], time.Now())
	w.copiedKey(t)
}

// TestT24ForeignDecoder hands devices over and lets a program that shares nothing with
// this one read the records. It is of row T24 of the transfer protocol (§9).
func TestT24ForeignDecoder(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 3)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.draft(t)
	w.handOver(t, nil)
	w.independent(t)
}

// formerKey tries every door with the operational key of before.
func (w *world) formerKey(t *testing.T, key *ecdsa.PrivateKey, cert *x509.Certificate, moved time.Time) {
	t.Helper()
	d := newDesk(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "old.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	d.write(t, "old.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	for _, p := range []*provider{w.alpha, w.beta} {
		d.roots(t, p)
		for _, door := range []string{"/rd?ep=" + w.names[0] + "&lt=60&lwm2m=1.1", "/est/sren", "/est/crts", "/update"} {
			before := len(refusals(t, p))
			eventually(t, waitLimit, p.name+" refuses the former key at "+door, func() error {
				text, _ := d.try(t, "coap-client-openssl", "-c", d.path("old.pem"), "-j", d.path("old.key"), "-C", "root.pem",
					"-B", "3", "-m", "post", p.uri()+door)
				if len(refusals(t, p)) == before {
					return fmt.Errorf("no refusal is audited; the client printed %q", text)
				}
				return nil
			})
		}
	}
	d.roots(t, w.alpha)
	eventually(t, time.Minute, "the CRL names the former certificate", func() error {
		code, text, err := fetch(t.Context(), "http://"+w.alpha.pki+"/crl/issuing.crl", "")
		if err != nil || code != http.StatusOK {
			return fmt.Errorf("crl: %d, %w", code, err)
		}
		list, err := x509.ParseRevocationList([]byte(text))
		if err != nil {
			return err
		}
		for _, r := range list.RevokedCertificateEntries {
			if r.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				t.Logf("all doors are tried and the CRL says so %v after the hand-over", time.Since(moved).Round(time.Millisecond))
				return nil
			}
		}
		return fmt.Errorf("%d entries, not this one", len(list.RevokedCertificateEntries))
	})
	text, err := d.try(t, "openssl", "ocsp", "-issuer", "issuing.pem", "-cert", "old.pem", "-no_nonce",
		"-url", "http://"+w.alpha.pki+"/ocsp", "-noverify")
	if err != nil || !strings.Contains(text, "old.pem: revoked") {
		t.Errorf("OCSP: %v\n%s", err, text)
	}
}

// independent is T24: both providers' records are read and every signature in them is
// checked by a program that shares nothing with this one.
func (w *world) independent(t *testing.T) {
	t.Helper()
	const python = "/usr/bin/python3" // with Debian's python3-cbor2 and python3-cryptography
	script, err := filepath.Abs("testdata/record.py")
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	if text, err := d.try(t, python, "-c", "import cbor2, cryptography"); err != nil {
		t.Logf("NOT TESTED by a foreign decoder: %s", text)
		return
	}
	list, err := w.alpha.transfers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("transfers: %v, %v", list, err)
	}
	for _, p := range []*provider{w.alpha, w.beta} {
		d.run(t, binary(t), "transfer", "record", list[0].ID, "--out", "record-"+p.name,
			"--url", "http://"+p.http, "--token-file", filepath.Join(p.data, "admin.token"))
		text := d.run(t, python, script, "record-"+p.name)
		if !strings.Contains(text, "3 devices verify") {
			t.Errorf("record of %s: %s", p.name, text)
		}
		t.Logf("record of %s: %s", p.name, strings.TrimSpace(text))
	}
}
