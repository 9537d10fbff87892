/* A DTLS 1.2 client of wolfSSL: client HOST PORT SUITE cert CERT KEY CA | psk IDENTITY KEY.
 * It sends a CoAP GET of /x and prints what comes back. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

static const char *who, *secret;

static unsigned int psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned int most, unsigned char *key,
	unsigned int mostKey) {
	(void)ssl, (void)hint;
	snprintf(identity, most, "%s", who);
	if (strlen(secret) > mostKey) {
		return 0;
	}
	memcpy(key, secret, strlen(secret));
	return strlen(secret);
}

static int check(const char *what, int code) {
	if (code != WOLFSSL_SUCCESS) {
		printf("%s: %d\n", what, code);
	}
	return code != WOLFSSL_SUCCESS;
}

int main(int argc, char **argv) {
	static const unsigned char get[] = {0x40, 1, 0, 1, 0xb1, 'x'};
	unsigned char answer[1500];
	struct sockaddr_in server = {.sin_family = AF_INET};
	int n, s;

	if (argc < 7) {
		return 2;
	}
	wolfSSL_Init();
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
	if (check("suite", wolfSSL_CTX_set_cipher_list(ctx, argv[3]))) {
		return 1;
	}
	if (strcmp(argv[4], "psk") == 0) {
		who = argv[5], secret = argv[6];
		wolfSSL_CTX_set_psk_client_callback(ctx, psk);
	} else if (argc < 8 || check("certificate", wolfSSL_CTX_use_certificate_chain_file(ctx, argv[5])) ||
		check("key", wolfSSL_CTX_use_PrivateKey_file(ctx, argv[6], WOLFSSL_FILETYPE_PEM)) ||
		check("anchor", wolfSSL_CTX_load_verify_locations(ctx, argv[7], NULL))) {
		return 1;
	}
	WOLFSSL *ssl = wolfSSL_new(ctx);
	server.sin_port = htons(atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &server.sin_addr);
	wolfSSL_dtls_set_peer(ssl, &server, sizeof server);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	wolfSSL_set_fd(ssl, s);
	if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS) {
		char text[80];
		printf("handshake: %s\n", wolfSSL_ERR_error_string(wolfSSL_get_error(ssl, 0), text));
		return 1;
	}
	wolfSSL_write(ssl, get, sizeof get);
	n = wolfSSL_read(ssl, answer, sizeof answer);
	printf("%s: %.*s\n", wolfSSL_get_cipher_name(ssl), n > 4 ? n - 4 : 0, answer + 4);
	wolfSSL_shutdown(ssl);
	return 0;
}
