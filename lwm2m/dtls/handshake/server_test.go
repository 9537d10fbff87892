package handshake_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

func pskOptions(c *credentials, suites ...pion.CipherSuiteID) []pion.ClientOption {
	return []pion.ClientOption{
		pion.WithCipherSuites(suites...), pion.WithPSKIdentityHint([]byte("dev-1")),
		pion.WithPSK(func([]byte) ([]byte, error) { return c.psk["dev-1"], nil }),
	}
}

func TestSuites(t *testing.T) {
	creds := newCredentials(t)
	for _, suite := range []pion.CipherSuiteID{
		pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
		pion.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		pion.TLS_PSK_WITH_AES_128_CCM_8, pion.TLS_PSK_WITH_AES_128_CCM, pion.TLS_PSK_WITH_AES_128_GCM_SHA256,
	} {
		for _, cid := range []string{"none", "server", "both"} {
			t.Run(fmt.Sprintf("%s/cid=%s", pion.CipherSuiteName(suite), cid), func(t *testing.T) {
				testSuite(t, creds, suite, cid)
			})
		}
	}
}

func testSuite(t *testing.T, creds *credentials, suite pion.CipherSuiteID, cid string) {
	t.Helper()
	var options []pion.ClientOption
	want := coap.Identity{Role: coap.RolePSK, Name: "dev-1"}
	if strings.Contains(pion.CipherSuiteName(suite), "PSK") {
		options = pskOptions(creds, suite)
	} else {
		options = []pion.ClientOption{pion.WithCipherSuites(suite), pion.WithCertificates(*creds.client)}
		want, _ = creds.Identify(creds.client.Certificate, nil)
	}
	switch cid {
	case "server":
		options = append(options, pion.WithConnectionIDGenerator(pion.OnlySendCIDGenerator()))
	case "both":
		options = append(options, pion.WithConnectionIDGenerator(pion.RandomCIDGenerator(5)))
	}
	s := newSite(t, creds)
	w := s.newWire()
	conn, err := pionClient(t, w, options...)
	out := s.outcome(t)
	if out.err != nil || err != nil {
		t.Fatalf("handshake = server %v, client %v", out.err, err)
	}
	if out.Identity != want {
		t.Errorf("identity = %+v, want %+v", out.Identity, want)
	}
	session := out.Session
	if _, has := session.CID(); has != (cid != "none") {
		t.Errorf("session has cid %t", has)
	}
	for i := range 20 {
		exchange(t, w, &session, conn, bytes.Repeat([]byte{byte(i)}, i*17))
	}
	if n := s.Pending(); n != 0 {
		t.Errorf("%d handshakes pending", n)
	}
}

// exchange sends message both ways, then the client's record again, altered and unaltered.
func exchange(t *testing.T, w *wire, s *dtls.Session, conn *pion.Conn, message []byte) {
	t.Helper()
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
	raw := <-w.records
	altered := append([]byte(nil), raw...)
	altered[len(altered)-1] ^= 1
	r, _, err := dtls.ParseRecord(altered)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(nil, r); !errors.Is(err, dtls.ErrForged) {
		t.Fatalf("Open(altered) = %v, want %v", err, dtls.ErrForged)
	}
	if r, _, err = dtls.ParseRecord(raw); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(nil, r)
	if err != nil || !bytes.Equal(o.Plaintext, message) || o.Type != dtls.ApplicationData || !o.Newest {
		t.Fatalf("Open = %+v, %v, want %x", o, err, message)
	}
	record, err := s.Seal(nil, dtls.ApplicationData, message)
	if err != nil {
		t.Fatal(err)
	}
	w.down(record)
	got := make([]byte, 2048)
	if n, err := conn.Read(got); err != nil || !bytes.Equal(got[:n], message) {
		t.Fatalf("client read %x, %v, want %x", got[:n], err, message)
	}
}
