package trial

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/objects"
)

// A Link is an association with a server.
type Link struct {
	Peer  coap.Peer
	Done  <-chan struct{} // closed when the server has ended it; nil: never
	Close func()
}

// errServer reports a server whose certificate nobody vouches for.
var errServer = errors.New("server not trusted")

// A dialer opens associations over the network.
type dialer struct {
	o   *Options
	air *air
}

// dial is Options.Dial.
func (n dialer) dial(ctx context.Context, e *coap.Engine, a Account) (*Link, error) {
	u, err := url.Parse(a.URI)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	credentials, err := n.credentials(a, u)
	if err != nil {
		return nil, err
	}
	uri, hangUp := a.URI, func() {}
	if !stream(u) && (n.air.changes() || n.o.NAT > 0) {
		r, err := newRelay(ctx, n.air, u, n.o.NAT)
		if err != nil {
			return nil, err
		}
		uri, hangUp = u.Scheme+"://"+r.inner.LocalAddr().String(), r.close
	}
	conn, err := transport.Dial(ctx, transport.DialOptions{URI: uri, Engine: e, Client: credentials})
	if err != nil {
		hangUp()
		return nil, err
	}
	return &Link{Peer: conn, Done: conn.Done(), Close: func() {
		_ = conn.Close() // it is over, whatever the socket says
		hangUp()
	}}, nil
}

func (n dialer) credentials(a Account, u *url.URL) (dtls.ClientOptions, error) {
	o := dtls.ClientOptions{CID: true, ServerName: u.Hostname()}
	if a.SNI != "" {
		o.ServerName = a.SNI
	}
	if !secured(u) {
		return dtls.ClientOptions{}, nil
	}
	switch {
	case a.Mode == objects.ModePSK:
		o.PSKIdentity, o.PSK = a.Identity, a.SecretKey
		return o, nil
	case a.Mode == objects.ModeRawKey && !stream(u):
		return rawKey(a, o)
	case a.Mode != objects.ModeCertificate && a.Mode != objects.ModeEST:
		return o, fmt.Errorf("%w: security mode %s over %s", sim.ErrNotImplemented, a.Mode, u.Scheme)
	}
	o.Verify = func(chain [][]byte) error { return n.vouch(chain, a, o.ServerName) }
	switch f := n.o.Factory; {
	case a.certificate != nil:
		o.Certificate = a.certificate
	case len(a.Identity) > 0 && len(a.SecretKey) > 0:
		key, err := x509.ParsePKCS8PrivateKey(a.SecretKey)
		if err != nil {
			return o, fmt.Errorf("%w: key of the account: %w", ErrOptions, err)
		}
		o.Certificate = &tls.Certificate{Certificate: [][]byte{a.Identity}, PrivateKey: key}
	case f != nil:
		o.Certificate = &tls.Certificate{Certificate: f.Chain, PrivateKey: f.Key}
	default:
		return o, fmt.Errorf("%w: a certificate is needed, and there is no bundle", ErrOptions)
	}
	return o, nil
}

// vouch judges a server: it must be called name, and stand under a certificate of
// the account or of the factory, or be it.
func (n dialer) vouch(chain [][]byte, a Account, name string) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: no certificate", errServer)
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	trusted := [][]byte{a.ServerKey}
	if f := n.o.Factory; f != nil {
		trusted = append(trusted, f.CAs...)
	}
	for _, der := range trusted {
		if c, err := x509.ParseCertificate(der); err == nil {
			roots.AddCert(c)
		}
	}
	for _, der := range chain[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			others.AddCert(c)
		}
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err == nil {
		_, err = leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: others, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errServer, err)
	}
	return nil
}

// enrolTime is how long the answer to an enrolment may take: MAX_TRANSMIT_WAIT.
const enrolTime = 93 * time.Second

// enrol gets a certificate for a new key from the server behind k, by EST over
// the association that the factory certificate opened (RFC 9148).
func (l *life) enrol(ctx context.Context, k *Link, a Account) (*tls.Certificate, error) {
	c, err := estcoap.NewClient(estcoap.ClientOptions{Engine: l.engine, Peer: k.Peer})
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := est.NewCSR(key, string(l.d.o.Endpoint))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTime)
	defer cancel()
	made, err := c.Enrol(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	if own, ok := made.PublicKey.(*ecdsa.PublicKey); !ok || !key.PublicKey.Equal(own) {
		return nil, fmt.Errorf("%w: the certificate issued is for another key", errServer)
	}
	l.d.event(sim.Event{Kind: sim.Enrolled, Server: a.URI})
	return &tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key}, nil
}
