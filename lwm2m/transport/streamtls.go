package transport

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// alpn is the protocol of CoAP over TLS (RFC 8323 §8.2).
const alpn = "coap"

// ErrNoPSK reports a pre-shared key for TLS, which is not built.
var ErrNoPSK = errors.New("transport: pre-shared keys over TLS are not implemented")

// serverTLS demands a certificate of every client; who it is, Identify says after
// the handshake. Sessions are not resumed: each connection is judged.
func serverTLS(c dtls.Credentials) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.Certificate(hello.ServerName)
		},
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
	}
}

// rawChain is what a peer sent, DER, leaf first.
func rawChain(s tls.ConnectionState) [][]byte {
	chain := make([][]byte, 0, len(s.PeerCertificates))
	for _, c := range s.PeerCertificates {
		chain = append(chain, c.Raw)
	}
	return chain
}

// dialTLS leads the handshake as client, by a certificate. It returns ErrNoPSK,
// dtls.ErrNoVerify, dtls.ErrRefused, dtls.ErrTimeout or dtls.ErrHandshake.
func dialTLS(ctx context.Context, c net.Conn, o dtls.ClientOptions) (*tls.Conn, coap.Identity, error) {
	who := coap.Identity{Role: coap.RoleServer}
	switch {
	case len(o.PSK) > 0:
		return nil, who, ErrNoPSK
	case o.Verify == nil:
		return nil, who, dtls.ErrNoVerify
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: o.ServerName, NextProtos: []string{alpn},
		InsecureSkipVerify: true, //nolint:gosec // G402: Verify judges instead; there are no default anchors
		VerifyConnection: func(s tls.ConnectionState) error {
			if err := o.Verify(rawChain(s)); err != nil {
				return fmt.Errorf("%w: %w", dtls.ErrRefused, err)
			}
			who.Name, who.Certificate = s.PeerCertificates[0].Subject.CommonName, sha256.Sum256(s.PeerCertificates[0].Raw)
			return nil
		},
	}
	if o.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.Certificate, nil
		}
	}
	t := tls.Client(c, config)
	err := t.HandshakeContext(ctx)
	switch {
	case err == nil:
		return t, who, nil
	case errors.Is(err, dtls.ErrRefused):
		return nil, who, err
	case ctx.Err() != nil:
		return nil, who, fmt.Errorf("%w: %w", dtls.ErrTimeout, err)
	default:
		return nil, who, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
}
