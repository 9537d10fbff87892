package transport_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/transport"
)

// program runs a program of others, or skips the test when it is not installed.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
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

func TestLibcoap(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	const client = "coap-client-openssl"
	get := func(t *testing.T, s *site, args ...string) string {
		t.Helper()
		return program(t, client, append(args, "-B", "5", s.uri()+"/x")...)
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
