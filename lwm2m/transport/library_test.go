package transport_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// library builds a small client of another make, or skips the test where the
// compiler or the library is not installed.
func library(t *testing.T, source, header string, libraries ...string) string {
	t.Helper()
	if _, err := os.Stat(header); err != nil {
		t.Skipf("%s is not installed", header)
	}
	client := filepath.Join(t.TempDir(), "client")
	args := append([]string{"-o", client, source}, libraries...)
	out, err := exec.CommandContext(t.Context(), "cc", args...).CombinedOutput()
	if err != nil {
		t.Skipf("cc: %v: %s", err, out)
	}
	return client
}

func TestLibraries(t *testing.T) {
	for name, c := range map[string]struct {
		source, header    string
		libraries         []string
		certificates, psk []string // suites
	}{
		"Mbed TLS": {
			"testdata/mbedtls.c", "/usr/include/mbedtls/ssl.h",
			[]string{"-lmbedtls", "-lmbedx509", "-lmbedcrypto"},
			[]string{
				"TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8", "TLS-ECDHE-ECDSA-WITH-AES-128-CCM",
				"TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
			},
			[]string{"TLS-PSK-WITH-AES-128-CCM-8", "TLS-PSK-WITH-AES-128-CCM", "TLS-PSK-WITH-AES-128-GCM-SHA256"},
		},
		"wolfSSL": {
			"testdata/wolfssl.c", "/usr/include/wolfssl/ssl.h",
			[]string{"-lwolfssl"},
			[]string{"ECDHE-ECDSA-AES128-CCM-8", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES128-GCM-SHA256"},
			[]string{"ECDHE-PSK-AES128-GCM-SHA256"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := library(t, c.source, c.header, c.libraries...)
			creds := newCredentials(t)
			cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
			run := func(suite string, args ...string) {
				t.Run(suite, func(t *testing.T) {
					s := newSite(t, creds, nil)
					at := s.Addr()
					all := append([]string{at.Addr().String(), strconv.Itoa(int(at.Port())), suite}, args...)
					if out := program(t, client, all...); !strings.Contains(out, "sensor") {
						t.Errorf("%s: %s", name, out)
					}
					eventually(t, "its goodbye", func() bool {
						n := s.Stats()
						return n.Handshakes == 1 && n.Associations == 0
					})
				})
			}
			for _, suite := range c.certificates {
				run(suite, "cert", cert, key, anchor)
			}
			for _, suite := range c.psk {
				run(suite, "psk", "sensor", "0123456789abcdef")
			}
		})
	}
}
