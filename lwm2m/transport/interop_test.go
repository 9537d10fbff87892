package transport_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/transport"
)

// program runs a program of others, or skips the test when it is not installed.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput() // judged by its text: the exit status means little
	return string(out)
}

func TestOpenSSL(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	for _, suite := range []string{"ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES128-GCM-SHA256"} {
		t.Run(suite, func(t *testing.T) {
			s := newSite(t, creds, nil)
			out := program(t, "openssl", "s_client", "-dtls1_2", "-connect", s.Addr().String(), "-cert", cert,
				"-key", key, "-CAfile", anchor, "-verify_return_error", "-cipher", suite+":@SECLEVEL=0")
			for _, want := range []string{
				"Verification: OK", "Cipher    : " + suite, "Extended master secret: yes",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			eventually(t, "its goodbye", func() bool {
				n := s.Stats()
				return n.Handshakes == 1 && n.Associations == 0
			})
		})
	}
	for _, suite := range []string{"PSK-AES128-CCM8", "PSK-AES128-CCM", "PSK-AES128-GCM-SHA256"} {
		t.Run(suite, func(t *testing.T) {
			s := newSite(t, creds, nil)
			out := program(t, "openssl", "s_client", "-dtls1_2", "-connect", s.Addr().String(),
				"-psk_identity", "sensor", "-psk", "30313233343536373839616263646566", "-cipher", suite+":@SECLEVEL=0")
			if !strings.Contains(out, "Cipher    : "+suite) {
				t.Errorf("openssl: %s", out)
			}
			eventually(t, "its goodbye", func() bool {
				n := s.Stats()
				return n.Handshakes == 1 && n.Associations == 0
			})
		})
	}
	t.Run("unknown certificate", func(t *testing.T) {
		s := newSite(t, creds, nil)
		stranger := newCredentials(t)
		cert, key, _ := stranger.authority.write(t, stranger.authority.issue(t, "sensor"))
		out := program(t, "openssl", "s_client", "-dtls1_2", "-connect", s.Addr().String(), "-cert", cert, "-key", key)
		if !strings.Contains(out, "alert bad certificate") {
			t.Errorf("openssl: %s", out)
		}
		eventually(t, "Refused", func() bool { return s.refusal() != nil })
	})
}

// TestOpenSSLResumes: a session of a client certificate goes on by its ticket, and
// not once the certificate is revoked.
func TestOpenSSLResumes(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	s := newSite(t, creds, nil)
	session := filepath.Join(t.TempDir(), "session.pem")
	connect := func(more ...string) string {
		return program(t, "openssl", append([]string{
			"s_client", "-dtls1_2", "-connect", s.Addr().String(), "-cert", cert, "-key", key, "-CAfile", anchor,
			"-verify_return_error", "-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0",
		}, more...)...)
	}
	if out := connect("-sess_out", session); !strings.Contains(out, "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-CCM8") {
		t.Fatalf("openssl: %s", out)
	}
	if out := connect("-sess_in", session); !strings.Contains(out, "Reused, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-CCM8") {
		t.Errorf("openssl, resuming: %s", out)
	}
	creds.revoke("sensor")
	if out := connect("-sess_in", session); !strings.Contains(out, "alert bad certificate") {
		t.Errorf("openssl, resuming what was revoked: %s", out)
	}
	eventually(t, "its goodbyes", func() bool {
		n := s.Stats()
		return n.Handshakes == 2 && n.Associations == 0
	})
}

// TestOpenSSLVariants: other groups, limits and small datagrams.
func TestOpenSSLVariants(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	for name, args := range map[string][]string{
		"max_fragment_length": {"-maxfraglen", "512"},
		"small datagrams":     {"-mtu", "256"},
		"X25519 first":        {"-groups", "X25519:P-256"},
		"server name":         {"-servername", "localhost"},
		"legacy":              {"-legacy_renegotiation"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, creds, nil)
			out := program(t, "openssl", append([]string{
				"s_client", "-dtls1_2", "-connect", s.Addr().String(), "-cert", cert, "-key", key, "-CAfile", anchor,
				"-verify_return_error",
			}, args...)...)
			if !strings.Contains(out, "Verification: OK") {
				t.Errorf("openssl: %s", out)
			}
			eventually(t, "its goodbye", func() bool {
				n := s.Stats()
				return n.Handshakes == 1 && n.Associations == 0
			})
		})
	}
}

// TestGnuTLS: certificates, pre-shared keys, and raw public keys, which
// OpenSSL 3.0 does not have.
func TestGnuTLS(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	certificate := []string{"--x509certfile", cert, "--x509keyfile", key, "--x509cafile", anchor}
	const versions = "NONE:+VERS-DTLS1.2:+COMP-NULL:+GROUP-ALL:+SIGN-ALL:+CTYPE-X509:+AEAD"
	for _, c := range []struct {
		name, priority string
		args           []string
	}{
		{"certificate CCM_8", versions + ":+AES-128-CCM-8:+ECDHE-ECDSA", certificate},
		{"certificate CCM", versions + ":+AES-128-CCM:+ECDHE-ECDSA", certificate},
		{"certificate GCM", versions + ":+AES-128-GCM:+ECDHE-ECDSA", certificate},
		{"psk CCM_8", versions + ":+AES-128-CCM-8:+PSK", []string{
			"--pskusername", "sensor", "--pskkey", "30313233343536373839616263646566",
		}},
		{"psk GCM", versions + ":+AES-128-GCM:+PSK", []string{
			"--pskusername", "sensor", "--pskkey", "30313233343536373839616263646566",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, creds, nil)
			args := append([]string{"--udp", "--priority", c.priority, "-p", fmt.Sprint(s.Addr().Port())}, c.args...)
			out := program(t, "gnutls-cli", append(args, s.Addr().Addr().String())...)
			if !strings.Contains(out, "Handshake was completed") {
				t.Errorf("gnutls-cli: %s", out)
			}
			eventually(t, "its handshake", func() bool { return s.Stats().Handshakes == 1 })
		})
	}
}

// rawKeys are credentials that know clients by their raw public keys.
type rawKeys struct{ *credentials }

func (c rawKeys) IdentifyKey(spki []byte) (coap.Identity, error) {
	return coap.Identity{Role: coap.RoleRawKey, Name: "by key", Certificate: sha256.Sum256(spki)}, nil
}

// TestGnuTLSRawPublicKeys (RFC 7250), of the client and of both.
func TestGnuTLSRawPublicKeys(t *testing.T) {
	creds := newCredentials(t)
	device := creds.authority.issue(t, "sensor")
	_, key, anchor := creds.authority.write(t, device)
	public := publicKeyFile(t, device.PrivateKey)
	const priority = "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CTYPE-ALL:+CTYPE-CLI-RAWPK:"
	for name, args := range map[string][]string{
		"client": {"--x509cafile", anchor, "--priority", priority + "+CTYPE-SRV-X509"},
		"both":   {"--insecure", "--priority", priority + "+CTYPE-SRV-RAWPK"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rawKeys{creds}, nil)
			args = append(args, "--udp", "-p", fmt.Sprint(s.Addr().Port()), "--rawpkkeyfile", key, "--rawpkfile", public)
			out := program(t, "gnutls-cli", append(args, s.Addr().Addr().String())...)
			if !strings.Contains(out, "Handshake was completed") {
				t.Errorf("gnutls-cli: %s", out)
			}
			eventually(t, "its handshake", func() bool { return s.Stats().Handshakes == 1 })
		})
	}
}

func TestLibcoap(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	for _, client := range []string{"coap-client-openssl", "coap-client-gnutls"} {
		t.Run(client, func(t *testing.T) { testLibcoap(t, creds, client, cert, key, anchor) })
	}
}

func testLibcoap(t *testing.T, creds *credentials, client, cert, key, anchor string) {
	t.Helper()
	get := func(t *testing.T, s *site, args ...string) string {
		t.Helper()
		return program(t, client, append(args, "-B", "20", s.uri()+"/x")...)
	}
	for name, args := range map[string][]string{
		"certificate":            {"-c", cert, "-j", key, "-R", anchor},
		"certificate and anchor": {"-c", cert, "-j", key, "-C", anchor},
		"psk":                    {"-u", "sensor", "-k", "0123456789abcdef"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, creds, nil)
			if out := get(t, s, args...); !strings.Contains(out, "sensor") {
				t.Errorf("%s: %s\n%+v, refused: %v", client, out, s.Stats(), s.refusal())
			}
			eventually(t, "its goodbye", func() bool {
				n := s.Stats()
				return n.Handshakes == 1 && n.Associations == 0
			})
		})
	}
	t.Run("post", func(t *testing.T) {
		s := newSite(t, creds, func(o *transport.ListenOptions) { o.MaxHandshakes = 8 })
		out := get(t, s, "-u", "sensor", "-k", "0123456789abcdef", "-m", "post", "-e", "hello")
		if !strings.Contains(out, "hello") {
			t.Errorf("%s: %s", client, out)
		}
	})
	t.Run("unknown psk identity", func(t *testing.T) {
		s := newSite(t, creds, nil)
		if out := get(t, s, "-u", "nobody", "-k", "x"); strings.Contains(out, "nobody") {
			t.Errorf("%s: %s", client, out)
		}
		eventually(t, "Refused", func() bool { return s.refusal() != nil })
	})
}
