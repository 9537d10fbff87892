package dtls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/logging"

	"steward/lwm2m/coap"
)

// Client is an established association of the dialling side.
type Client struct {
	conn     *dtls.Conn
	identity coap.Identity
}

// Dial leads one handshake as client over socket, which it owns from then on,
// and closes when it fails. flight is the first retransmission interval; zero
// is one second. Errors wrap ErrNoVerify, ErrRefused, ErrTimeout or ErrHandshake.
func Dial(ctx context.Context, socket net.PacketConn, remote net.Addr, o ClientOptions,
	flight time.Duration,
) (*Client, error) {
	c := &Client{identity: coap.Identity{Role: coap.RoleServer}}
	v := &verifier{verify: o.Verify, client: c}
	options, err := clientOptions(o, v, flight)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if c.conn, err = dtls.ClientWithOptions(socket, remote, options...); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrHandshake, err), socket.Close())
	}
	if err := c.conn.HandshakeContext(ctx); err != nil {
		_, _ = c.conn.Close(), socket.Close() // the handshake's error is the one that matters
		return nil, reason(ctx, v.refusal, err)
	}
	return c, nil
}

// Identity is what the server proved: the role server, and with a certificate
// the common name and the hash of its leaf.
func (c *Client) Identity() coap.Identity { return c.identity }

// Read waits for the next datagram and copies it to b. Any error but io.EOF
// concerns one datagram only; io.EOF ends the association.
func (c *Client) Read(b []byte) (int, error) { return c.conn.Read(b) }

// Write sends one datagram.
func (c *Client) Write(b []byte) (int, error) { return c.conn.Write(b) }

// Close sends close_notify and closes the socket.
func (c *Client) Close() error { return c.conn.Close() }

// verifier asks the caller about the server's chain and keeps the answer.
type verifier struct {
	verify  func(chain [][]byte) error
	client  *Client
	refusal error
}

func (v *verifier) check(chain [][]byte, _ [][]*x509.Certificate) error {
	err := v.verify(chain)
	if err != nil {
		v.refusal = err
		return err
	}
	if len(chain) > 0 {
		v.client.identity.Certificate = sha256.Sum256(chain[0])
		if leaf, err := x509.ParseCertificate(chain[0]); err == nil {
			v.client.identity.Name = leaf.Subject.CommonName
		}
	}
	return nil
}

func clientOptions(o ClientOptions, v *verifier, flight time.Duration) ([]dtls.ClientOption, error) {
	options := []dtls.ClientOption{
		dtls.WithEllipticCurves(elliptic.P256),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithLoggerFactory(quiet()),
		dtls.WithServerName(o.ServerName),
	}
	switch {
	case len(o.PSK) > 0:
		key := append([]byte(nil), o.PSK...)
		options = append(options,
			dtls.WithCipherSuites(pskSuites()...),
			dtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
			dtls.WithPSKIdentityHint(o.PSKIdentity))
	case o.Verify == nil:
		return nil, ErrNoVerify
	default:
		options = append(options,
			dtls.WithCipherSuites(certificateSuites()...),
			dtls.WithInsecureSkipVerify(true), // Verify judges instead; there are no default anchors
			dtls.WithVerifyPeerCertificate(v.check))
		if o.Certificate != nil {
			certificate := *o.Certificate
			options = append(options, dtls.WithGetClientCertificate(
				func(*dtls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }))
		}
	}
	if o.CID {
		options = append(options, dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))
	}
	if flight > 0 {
		options = append(options, dtls.WithFlightInterval(flight))
	}
	return options, nil
}

func certificateSuites() []dtls.CipherSuiteID {
	return []dtls.CipherSuiteID{
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	}
}

func pskSuites() []dtls.CipherSuiteID {
	return []dtls.CipherSuiteID{
		dtls.TLS_PSK_WITH_AES_128_CCM_8,
		dtls.TLS_PSK_WITH_AES_128_CCM,
		dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
	}
}

// quiet silences the engine: what matters comes back as an error.
func quiet() logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
}
