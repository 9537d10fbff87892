package e2e_test

import (
	"crypto/rand"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestBadInput sends what no honest device sends, by a device that is known. Each
// is refused with the code of its standard, and the provider goes on.
func TestBadInput(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker := serve(t, "Alpha"), newFactory(t)
	device := maker.device(t, "urn:dev:bad")
	alpha.deliver(t, maker, device)
	d := newDesk(t)
	d.roots(t, alpha)
	d.write(t, "junk", []byte("no request"))
	d.write(t, "big", make([]byte, 3<<20))
	for _, key := range []string{"mine", "p384"} {
		curve := map[string]string{"mine": "prime256v1", "p384": "secp384r1"}[key]
		d.run(t, "openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", key)
	}
	csr := func(out, key, name string) {
		d.run(t, "openssl", "req", "-new", "-key", key, "-subj", "/CN="+name, "-outform", "DER", "-out", out)
	}
	csr("good", "mine", device.endpoint)
	csr("other-name", "mine", "urn:dev:somebody-else")
	whole := d.read(t, "good")
	d.write(t, "cut", whole[:len(whole)-1])
	broken := append([]byte(nil), whole...)
	broken[len(broken)-1] ^= 1
	d.write(t, "wrong-signature", broken)

	post := func(file string) []string { return []string{"-m", "post", "-t", "286", "-f", file} }
	for _, c := range []struct {
		name, path string
		args       []string
		codes      string // any of them
	}{
		{name: "RFC 9148 §5.3, CSR that is none", path: "/est/sen", args: post("junk"), codes: "4.00"},
		{name: "RFC 9148 §5.3, CSR cut short", path: "/est/sen", args: post("cut"), codes: "4.00"},
		{name: "RFC 9148 §5.3, CSR with a wrong signature", path: "/est/sen", args: post("wrong-signature"), codes: "4.00"},
		{name: "CSR in another's name", path: "/est/sen", args: post("other-name"), codes: "4.00 4.03"},
		{name: "CSR without format", path: "/est/sen", args: []string{"-m", "post", "-f", "good"}, codes: "4.15 4.00"},
		{name: "CSR as CBOR", path: "/est/sen", args: []string{"-m", "post", "-t", "60", "-f", "good"}, codes: "4.15"},
		{name: "answer as JSON", path: "/est/crts", args: []string{"-A", "50"}, codes: "4.06"},
		{name: "renewal with the factory certificate", path: "/est/sren", args: post("good"), codes: "4.01 4.03"},
		{name: "RFC 7252 §5.8, GET of sen", path: "/est/sen", codes: "4.05"},
		{
			name: "registration with the factory certificate", path: "/rd?ep=urn:dev:bad&lt=60&lwm2m=1.1&b=U",
			args: []string{"-m", "post", "-t", "40", "-e", "</3/0>"}, codes: "4.03",
		},
		{name: "path that is not there", path: "/nothing", codes: "4.04"},
		{name: "unknown update", path: "/update/payload/01ARZ3NDEKTSV4RRFFQ69G5FAV", codes: "4.04"},
		{name: "RFC 7959 §2.9.3, body beyond every limit", path: "/est/sen", args: post("big"), codes: "4.13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, text := d.coap(t, device, 1024, alpha.uri()+c.path, c.args...)
			for code := range strings.FieldsSeq(c.codes) {
				if strings.Contains(text, code) {
					return
				}
			}
			t.Errorf("answer %q with %d bytes, want %s", text, len(body), c.codes)
		})
	}
	// None of it used up the device's right.
	leaf, text := d.coap(t, device, 1024, alpha.uri()+"/est/sen", append(post("good"), "-A", "287")...)
	if len(leaf) == 0 {
		t.Errorf("after all that, sen says %s", text)
	}
}

// TestGarbage throws datagrams without sense at the devices' port, and requests
// without sense at the others.
func TestGarbage(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker := serve(t, "Alpha"), newFactory(t)
	device := maker.device(t, "urn:dev:patient")
	alpha.deliver(t, maker, device)
	conn, err := net.Dial("udp", alpha.coaps)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 3000 {
		datagram := make([]byte, 1+i%1400)
		_, _ = rand.Read(datagram) // never fails
		if i%2 == 0 && len(datagram) > 13 {
			copy(datagram, []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, byte(i)}) // looks like a handshake record
		}
		_, _ = conn.Write(datagram) // ICMP errors would show here: the port is open
	}
	for _, body := range []string{"", "{", "null", `{"certificate":1}`, `{"certificate":"AAAA","surplus":1}`} {
		url := alpha.base + "/api/v1/devices"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+alpha.token)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode < 400 || res.StatusCode > 422 || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("POST %q: %d %s, want a problem 4xx", body, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	d := newDesk(t)
	d.roots(t, alpha)
	if body, text := d.coap(t, device, 1024, alpha.uri()+"/est/crts"); len(body) == 0 {
		t.Errorf("after garbage, crts says %s", text)
	}
	// Partners need a certificate: TLS without one does not get to HTTP.
	text, _ := d.try(t, "openssl", "s_client", "-connect", alpha.peer, "-CAfile", "root.pem", "-ign_eof")
	if strings.Contains(text, "HTTP/1.1 200") {
		t.Errorf("the peers' listener answers without a certificate:\n%s", text)
	}
	if err := alpha.alive(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(alpha.logs.String(), "level=ERROR"); n > 0 {
		t.Errorf("%d errors in the log, want none: nothing failed here", n)
	}
}
