package transport_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/transport"
)

// TestForeignersInBadWeather: clients of other makes complete their handshakes where
// datagrams are lost, doubled and late, by certificates and by keys, in small
// datagrams too.
func TestForeignersInBadWeather(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	const psk = "30313233343536373839616263646566"
	openssl := func(s *sky, more ...string) string {
		return program(t, "openssl", append([]string{
			"s_client", "-dtls1_2", "-connect", s.front.LocalAddr().String(),
		}, more...)...)
	}
	gnutls := func(s *sky, more ...string) string {
		at := s.front.LocalAddr().String()
		return program(t, "gnutls-cli", append(more, "--udp", "-p", at[strings.LastIndex(at, ":")+1:], "127.0.0.1")...)
	}
	mbed := library(t, "testdata/mbedtls.c", "/usr/include/mbedtls/ssl.h", "-lmbedtls", "-lmbedx509", "-lmbedcrypto")
	wolf := library(t, "testdata/wolfssl.c", "/usr/include/wolfssl/ssl.h", "-lwolfssl")
	small := func(client, suite string) func(*sky) string {
		return func(s *sky) string {
			at := s.front.LocalAddr().String()
			return program(t, client, "127.0.0.1", at[strings.LastIndex(at, ":")+1:], suite, "cert", cert, key, anchor)
		}
	}
	for name, run := range map[string]func(s *sky) string{
		"OpenSSL, certificates": func(s *sky) string {
			return openssl(s, "-cert", cert, "-key", key, "-CAfile", anchor)
		},
		"OpenSSL, small datagrams": func(s *sky) string {
			return openssl(s, "-cert", cert, "-key", key, "-CAfile", anchor, "-mtu", "256")
		},
		"OpenSSL, psk": func(s *sky) string {
			return openssl(s, "-psk_identity", "sensor", "-psk", psk, "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0")
		},
		"GnuTLS, certificates": func(s *sky) string {
			return gnutls(s, "--x509certfile", cert, "--x509keyfile", key, "--x509cafile", anchor)
		},
		"GnuTLS, small datagrams": func(s *sky) string {
			return gnutls(s, "--x509certfile", cert, "--x509keyfile", key, "--x509cafile", anchor, "--mtu", "300")
		},
		"libcoap, psk": func(s *sky) string {
			return program(t, "coap-client-openssl", "-u", "sensor", "-k", "0123456789abcdef", "-B", "20",
				"coaps://"+s.front.LocalAddr().String()+"/x")
		},
		"Mbed TLS": small(mbed, "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8"),
		"wolfSSL":  small(wolf, "ECDHE-ECDSA-AES128-CCM-8"),
	} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(name, ", ", strconv.FormatUint(seed, 10)), func(t *testing.T) {
				t.Parallel()
				site := newSite(t, creds, func(o *transport.ListenOptions) { o.HandshakeTimeout = time.Minute })
				s := newSky(t, site.Addr(), seed)
				s.set(weather{lost: 0.1, twice: 0.2, late: 0.3, delay: 30e6})
				out := run(s)
				eventually(t, "its handshake", func() bool { return site.Stats().Handshakes == 1 })
				if t.Failed() {
					t.Log(out)
				}
			})
		}
	}
}
