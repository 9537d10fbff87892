package transport_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
)

// TestServerNameAcknowledged (RFC 6066 §3): OpenSSL and GnuTLS take our word that
// their name for us was used.
func TestServerNameAcknowledged(t *testing.T) {
	creds := newCredentials(t)
	named := &bySNI{credentials: creds, names: map[string]*tls.Certificate{"localhost": creds.authority.issue(t, "named")}}
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	s := newSite(t, named, nil)
	out := program(t, "openssl", "s_client", "-dtls1_2", "-connect", s.Addr().String(), "-servername", "localhost",
		"-cert", cert, "-key", key, "-CAfile", anchor, "-verify_return_error", "-tlsextdebug")
	if !strings.Contains(out, `TLS server extension "server name" (id=0), len=0`) || !strings.Contains(out, "CN = named") {
		t.Errorf("openssl: %s", out)
	}
	out = program(t, "gnutls-cli", "--udp", "-p", fmt.Sprint(s.Addr().Port()), "--sni-hostname", "localhost",
		"--verify-hostname", "localhost", "--x509certfile", cert, "--x509keyfile", key, "--x509cafile", anchor,
		s.Addr().Addr().String())
	if !strings.Contains(out, "Handshake was completed") || !strings.Contains(out, "CN=named") {
		t.Errorf("gnutls-cli: %s", out)
	}
}

// TestX25519Only (RFC 8422 §5.1): the curve of our certificate must be among a
// client's, whatever the key exchange is by. OpenSSL's server says no in the same way;
// a client that knows the curve agrees by X25519 if it has nothing else for that.
func TestX25519Only(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	serverCert, serverKey, _ := creds.authority.write(t, creds.server)
	theirs := otherServer(t, "openssl", func(port string) []string {
		return []string{"s_server", "-dtls1_2", "-accept", "127.0.0.1:" + port, "-cert", serverCert, "-key", serverKey}
	})
	s := newSite(t, creds, nil)
	for name, addr := range map[string]string{"ours": s.Addr().String(), "OpenSSL's": theirs} {
		out := program(t, "openssl", "s_client", "-dtls1_2", "-connect", addr, "-groups", "X25519",
			"-cert", cert, "-key", key, "-CAfile", anchor)
		if !strings.Contains(out, "alert handshake failure") {
			t.Errorf("%s: %s", name, out)
		}
	}
	const priority = "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-GROUP-ALL:+GROUP-X25519"
	out := program(t, "gnutls-cli", "--udp", "-p", fmt.Sprint(s.Addr().Port()), "--priority", priority,
		"--x509certfile", cert, "--x509keyfile", key, "--x509cafile", anchor, s.Addr().Addr().String())
	if !strings.Contains(out, "Handshake failed") {
		t.Errorf("gnutls-cli: %s", out)
	}
	out = program(t, "openssl", "s_client", "-dtls1_2", "-connect", s.Addr().String(), "-groups", "X25519",
		"-psk_identity", "sensor", "-psk", "30313233343536373839616263646566",
		"-cipher", "ECDHE-PSK-AES128-GCM-SHA256:PSK-AES128-GCM-SHA256")
	if !strings.Contains(out, "Cipher    : PSK-AES128-GCM-SHA256") && !strings.Contains(out, "Cipher    : ECDHE-PSK") {
		t.Errorf("openssl, psk: %s", out)
	}
}
