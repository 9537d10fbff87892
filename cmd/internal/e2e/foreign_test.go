package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestLibcoap enrols with libcoap's client and OpenSSL's tools alone.
func TestLibcoap(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker := serve(t, "Alpha"), newFactory(t)
	for _, block := range []int{64, 1024} {
		t.Run(fmt.Sprintf("blocks of %d", block), func(t *testing.T) {
			device := maker.device(t, fmt.Sprintf("urn:dev:libcoap-%d", block))
			alpha.deliver(t, maker, device)
			d := newDesk(t)
			d.roots(t, alpha)
			get := func(uri string, args ...string) []byte {
				t.Helper()
				body, text := d.coap(t, device, block, alpha.uri()+uri, args...)
				if len(body) == 0 {
					t.Fatalf("%s: %s", uri, text)
				}
				return body
			}
			links := string(get("/.well-known/core?rt=ace.est*"))
			for _, want := range []string{"</est/crts>", "</est/sen>", "</est/sren>", `rt="ace.est.sen"`} {
				if !strings.Contains(links, want) {
					t.Errorf("links = %s, want %s in them", links, want)
				}
			}
			d.write(t, "crts", get("/est/crts"))
			chain := d.run(t, "openssl", "pkcs7", "-inform", "DER", "-in", "crts", "-print_certs")
			d.write(t, "chain.pem", []byte(chain))
			if n := strings.Count(chain, "BEGIN CERTIFICATE"); n != 2 {
				t.Errorf("crts has %d certificates, want issuing CA and root", n)
			}

			d.run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "new.key")
			d.run(t, "openssl", "req", "-new", "-key", "new.key", "-subj", "/CN="+device.endpoint,
				"-outform", "DER", "-out", "new.csr")
			post := []string{"-m", "post", "-t", "286", "-f", "new.csr"}
			d.write(t, "leaf.der", get("/.well-known/est/sen", append(post, "-A", "287")...))
			d.run(t, "openssl", "x509", "-inform", "DER", "-in", "leaf.der", "-out", "leaf.pem")
			d.run(t, "openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem",
				"-purpose", "sslclient", "leaf.pem")

			// A repeated request gets the same certificate, in the other format too.
			d.write(t, "again", get("/est/sen", append(post, "-A", "281")...))
			again := d.run(t, "openssl", "pkcs7", "-inform", "DER", "-in", "again", "-print_certs")
			if leaf := string(d.read(t, "leaf.pem")); !strings.Contains(again, leaf) {
				t.Errorf("sen again gave\n%s, want the same certificate\n%s", again, leaf)
			}

			// The right was for one key.
			d.run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "third.key")
			d.run(t, "openssl", "req", "-new", "-key", "third.key", "-subj", "/CN="+device.endpoint,
				"-outform", "DER", "-out", "third.csr")
			if body, text := d.coap(t, device, block, alpha.uri()+"/est/sen", "-m", "post", "-t", "286",
				"-f", "third.csr"); !strings.Contains(text, "4.03") {
				t.Errorf("sen for a second key: %d bytes, %q, want 4.03", len(body), text)
			}
		})
	}
}

// TestT20FactorySession is T20 of the transfer protocol (§9) with the real binary and a
// foreign client: whoever comes with a factory certificate may enrol, and not register.
func TestT20FactorySession(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker, d := serve(t, "Alpha"), newFactory(t), newDesk(t)
	device := maker.device(t, "urn:dev:1")
	alpha.deliver(t, maker, device)
	d.roots(t, alpha)
	for _, path := range []string{"/rd?ep=urn:dev:1&lt=60&lwm2m=1.1&b=U", "/dp"} {
		if _, text := d.coap(t, device, 1024, alpha.uri()+path, "-m", "post"); !strings.Contains(text, "4.03") {
			t.Errorf("POST %s: %q, want 4.03", path, text)
		}
	}
	if body, text := d.coap(t, device, 1024, alpha.uri()+"/est/crts"); len(body) == 0 {
		t.Errorf("GET /est/crts: %q, want certificates", text)
	}
	devices, err := alpha.devices(t.Context())
	if err != nil || devices[device.endpoint].State != "expected" {
		t.Errorf("devices %v, %v", devices, err)
	}
}

// TestStrangers checks that nobody gets past the handshake whom the inventory
// does not know, and that each refusal stands in the audit.
func TestStrangers(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker, other := serve(t, "Alpha"), newFactory(t), newFactory(t)
	known := maker.device(t, "urn:dev:known")
	alpha.deliver(t, maker, known)
	d := newDesk(t)
	d.roots(t, alpha)
	unknown, namesake := maker.device(t, "urn:dev:unknown"), other.device(t, "urn:dev:known")
	for _, c := range []struct {
		name   string
		who    factoryDevice
		args   []string
		reason string // part of it, in the audit
	}{
		{name: "device of the factory, not announced", who: unknown, reason: hexSum(unknown.der)[:16]},
		{name: "same name, another factory", who: namesake, reason: hexSum(namesake.der)[:16]},
		{name: "no certificate", reason: "no certificate"},
		{name: "pre-shared key", args: []string{"-u", "urn:dev:known", "-k", "secret"}, reason: "unknown psk identity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(refusals(t, alpha))
			args := []string{"-C", "root.pem", "-B", "5"}
			switch {
			case c.who.der != nil:
				args = append(args, "-c", c.who.certFile, "-j", c.who.keyFile)
			case c.args != nil:
				args = append([]string{"-B", "5"}, c.args...)
			}
			text, _ := d.try(t, "coap-client-openssl", append(args, alpha.uri()+"/est/crts")...)
			if strings.Contains(text, "BEGIN") || len(text) > 2000 {
				t.Errorf("answer: %q", text)
			}
			eventually(t, waitLimit, "refusal is audited", func() error {
				after := refusals(t, alpha)
				if len(after) <= before || !strings.Contains(after[0].Reason, c.reason) {
					return fmt.Errorf("%d refusals before, now %+v", before, after)
				}
				return nil
			})
		})
	}
	body, text := d.coap(t, known, 1024, alpha.uri()+"/est/crts")
	if len(body) == 0 {
		t.Errorf("after strangers, the known device gets nothing: %s", text)
	}
}

// refusals returns the refused handshakes in a provider's audit.
func refusals(t *testing.T, p *provider) []auditRow {
	t.Helper()
	var rows page[auditRow]
	p.get(t, "/api/v1/audit?page_size=200&action=handshake.refuse", &rows)
	return rows.Items
}

// TestOpenSSL looks at a provider with OpenSSL: its handshake, and its CRL before
// and after a revocation.
func TestOpenSSL(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker := serve(t, "Alpha"), newFactory(t)
	device := maker.device(t, "urn:dev:openssl")
	alpha.deliver(t, maker, device)
	d := newDesk(t)
	d.roots(t, alpha)
	text := d.run(t, "openssl", "s_client", "-dtls1_2", "-connect", alpha.coaps, "-cert", device.certFile,
		"-key", device.keyFile, "-CAfile", "root.pem", "-verify_return_error", "-verify_ip", alpha.host)
	for _, want := range []string{"Verify return code: 0 (ok)", "Protocol  : DTLSv1.2", "ECDHE-ECDSA-AES128"} {
		if !strings.Contains(text, want) {
			t.Errorf("s_client printed no %q:\n%s", want, text)
		}
	}
	crl := func() string {
		code, der, err := fetch(t.Context(), "http://"+alpha.pki+"/crl/issuing.crl", "")
		if err != nil || code != http.StatusOK {
			t.Fatalf("crl: %d, %v", code, err)
		}
		d.write(t, "crl.der", []byte(der))
		d.run(t, "openssl", "crl", "-inform", "DER", "-in", "crl.der", "-out", "crl.pem")
		return d.run(t, "openssl", "crl", "-inform", "DER", "-in", "crl.der", "-CAfile", "issuing.pem", "-noout", "-text")
	}
	if text := crl(); !strings.Contains(text, "verify OK") || !strings.Contains(text, "No Revoked Certificates") {
		t.Errorf("openssl crl printed\n%s", text)
	}
	d.run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "new.key")
	d.run(t, "openssl", "req", "-new", "-key", "new.key", "-subj", "/CN="+device.endpoint,
		"-outform", "DER", "-out", "csr")
	leaf, text := d.coap(t, device, 1024, alpha.uri()+"/est/sen", "-m", "post", "-t", "286", "-A", "287", "-f", "csr")
	if len(leaf) == 0 {
		t.Fatalf("sen: %s", text)
	}
	d.write(t, "leaf.der", leaf)
	d.run(t, "openssl", "x509", "-inform", "DER", "-in", "leaf.der", "-out", "leaf.pem")
	check := []string{
		"verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-crl_check", "-CRLfile", "crl.pem", "leaf.pem",
	}
	d.run(t, "openssl", check...)

	alpha.post(t, "/api/v1/ca/certificates/"+hexSum(leaf)+"/revoke",
		map[string]string{"reason": "keyCompromise", "comment": "lost"})
	eventually(t, waitLimit, "revoked certificate is on the CRL", func() error {
		if text := crl(); !strings.Contains(text, "Key Compromise") {
			return fmt.Errorf("openssl crl printed %s", text)
		}
		return nil
	})
	if text, err := d.try(t, "openssl", check...); err == nil || !strings.Contains(text, "certificate revoked") {
		t.Errorf("openssl verify of the revoked certificate: %v\n%s", err, text)
	}
	operational := factoryDevice{certFile: d.path("leaf.pem"), keyFile: d.path("new.key")}
	before := len(refusals(t, alpha))
	_, _ = d.try(t, "coap-client-openssl", "-c", operational.certFile, "-j", operational.keyFile, "-C", "root.pem",
		"-B", "5", alpha.uri()+"/est/crts")
	eventually(t, waitLimit, "revoked certificate is refused", func() error {
		if after := len(refusals(t, alpha)); after <= before {
			return fmt.Errorf("%d refusals", after)
		}
		return nil
	})
}
