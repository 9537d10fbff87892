/* A DTLS 1.2 client of Mbed TLS: client HOST PORT SUITE cert CERT KEY CA | psk IDENTITY KEY.
 * It sends a CoAP GET of /x and prints what comes back. */
#include <stdio.h>
#include <string.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>

static int check(const char *what, int code) {
	if (code < 0) {
		printf("%s: -0x%x\n", what, -code);
	}
	return code < 0;
}

int main(int argc, char **argv) {
	static mbedtls_net_context net;
	static mbedtls_entropy_context entropy;
	static mbedtls_ctr_drbg_context random;
	static mbedtls_ssl_context ssl;
	static mbedtls_ssl_config config;
	static mbedtls_x509_crt cert, anchor;
	static mbedtls_pk_context key;
	static mbedtls_timing_delay_context timer;
	static const unsigned char get[] = {0x40, 1, 0, 1, 0xb1, 'x'};
	unsigned char answer[1500];
	int suites[2], n;

	if (argc < 7) {
		return 2;
	}
	mbedtls_net_init(&net);
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random);
	mbedtls_ssl_init(&ssl);
	mbedtls_ssl_config_init(&config);
	mbedtls_x509_crt_init(&cert);
	mbedtls_x509_crt_init(&anchor);
	mbedtls_pk_init(&key);
	suites[0] = mbedtls_ssl_get_ciphersuite_id(argv[3]);
	suites[1] = 0;
	if (check("seed", mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0)) ||
		check("connect", mbedtls_net_connect(&net, argv[1], argv[2], MBEDTLS_NET_PROTO_UDP)) ||
		check("defaults", mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
			MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT))) {
		return 1;
	}
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
	mbedtls_ssl_conf_ciphersuites(&config, suites);
	mbedtls_ssl_conf_read_timeout(&config, 5000);
	if (strcmp(argv[4], "psk") == 0) {
		if (check("psk", mbedtls_ssl_conf_psk(&config, (unsigned char *)argv[6], strlen(argv[6]),
			(unsigned char *)argv[5], strlen(argv[5])))) {
			return 1;
		}
	} else {
		if (argc < 8 || check("certificate", mbedtls_x509_crt_parse_file(&cert, argv[5])) ||
			check("key", mbedtls_pk_parse_keyfile(&key, argv[6], NULL)) ||
			check("anchor", mbedtls_x509_crt_parse_file(&anchor, argv[7])) ||
			check("own", mbedtls_ssl_conf_own_cert(&config, &cert, &key))) {
			return 1;
		}
		mbedtls_ssl_conf_ca_chain(&config, &anchor, NULL);
		mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
	}
	if (check("setup", mbedtls_ssl_setup(&ssl, &config))) {
		return 1;
	}
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
	mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
	do {
		n = mbedtls_ssl_handshake(&ssl);
	} while (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE);
	if (check("handshake", n) || check("write", mbedtls_ssl_write(&ssl, get, sizeof get)) ||
		check("read", n = mbedtls_ssl_read(&ssl, answer, sizeof answer))) {
		return 1;
	}
	printf("%s: %.*s\n", mbedtls_ssl_get_ciphersuite(&ssl), n - 4, answer + 4);
	mbedtls_ssl_close_notify(&ssl);
	return 0;
}
