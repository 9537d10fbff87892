package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/keys"
	"steward/est"
	"steward/est/esthttp"
	"steward/lwm2m/transport"
	"steward/web"
)

// PermanentOptions says how a permanent CA is served.
type PermanentOptions struct {
	Listen string // address for HTTPS, host and port; "": none
	Host   string // name or address in the server's certificate
	// Password says for whom the password is that is made at the start.
	Password est.NewPassword
	Rekey    RekeyOptions
	// CRL is the file for what was revoked, written at the start, after each revocation
	// and once a day; "": none.
	CRL string
	Log *slog.Logger
}

// A PermanentService is where a permanent CA is served.
type PermanentService struct {
	URL          string // of the functions over HTTPS; "": none
	User, Secret string // of the password that was made
	CoAPS        string // URI of the re-key over EST-coaps; "": none
}

// Serve answers factories by EST over HTTPS (RFC 7030) until ctx ends: who has the
// password gets factory certificates for requests that devices signed. Devices in the
// field it answers by EST-coaps, if that was asked for. ready is told where.
func (p *Permanent) Serve(ctx context.Context, o PermanentOptions, ready func(PermanentService) error) (err error) {
	server, err := p.serverCertificate(ctx, o.Host)
	if err != nil {
		return err
	}
	auditor := newAuditor(p.db, o.Log)
	listeners := &webListeners{stream: &web.Stream{}}
	var at PermanentService
	if o.Listen != "" {
		if at, err = p.listenHTTPS(ctx, o, server, listeners, auditor); err != nil {
			return err
		}
	}
	var k *rekeyer
	var coaps *transport.Listener
	if o.Rekey.Listen != "" {
		//nolint:contextcheck // a socket that is bound belongs to Run, not to who bound it
		if k, coaps, err = p.newRekeyer(o.Rekey, server, auditor, o.Log); err != nil {
			return errors.Join(err, listeners.Close())
		}
		at.CoAPS = "coaps://" + hostPort(o.Host, coaps.Addr())
	}
	if err := ready(at); err != nil {
		if coaps != nil {
			err = errors.Join(err, coaps.Close())
		}
		return errors.Join(err, listeners.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return auditor.Run(ctx) })
	group.Go(func() error { return p.publish(ctx, o.CRL) })
	if coaps != nil {
		group.Go(func() error { return k.engine.Run(ctx) })
		group.Go(func() error { return coaps.Run(ctx) })
	}
	listeners.run(ctx, group)
	return group.Wait()
}

// listenHTTPS makes the password and binds the listener of factories.
func (p *Permanent) listenHTTPS(
	ctx context.Context, o PermanentOptions, server *tls.Certificate, listeners *webListeners, auditor *auditor,
) (at PermanentService, err error) {
	password, secret, err := p.ca.MakePassword(ctx, o.Password)
	if err != nil {
		return at, err
	}
	handler, err := esthttp.NewServer(esthttp.ServerOptions{
		CA: permanentEST{p.ca}, Audit: auditor, Now: time.Now, Log: o.Log,
		Identify: func(context.Context, [][]byte) (est.Client, error) { return est.Client{}, errPermanent },
	})
	if err != nil {
		return at, err
	}
	if err := listeners.add(ctx, "factory", o.Listen, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequestClientCert,
	}, hurried(handler), o.Log); err != nil {
		return at, err
	}
	at.URL = "https://" + listeners.servers[0].listener.Addr().String() + esthttp.Root
	at.User, at.Secret = password.ID, secret
	return at, nil
}

// serverCertificate loads or makes the key and certificate of the listener.
func (p *Permanent) serverCertificate(ctx context.Context, host string) (*tls.Certificate, error) {
	key, err := p.files.ring.Key(keys.Server)
	if err != nil {
		return nil, err
	}
	good := func(c *x509.Certificate) bool { return c.VerifyHostname(host) == nil && p.files.live(ctx, c) }
	server, err := p.files.load(keys.Server, key, good, func() (*x509.Certificate, error) {
		issued, err := p.ca.IssueServer(ctx, host, key.Public())
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(issued.DER)
	})
	if err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	return &tls.Certificate{
		Certificate: [][]byte{server.cert.Raw, p.ca.Certificate().Raw}, PrivateKey: server.key,
	}, nil
}

// errPermanent is told to whom the permanent CA does not serve.
var errPermanent = fmt.Errorf("%w: a permanent CA gives factory certificates, by one-time password", est.ErrForbidden)

// A permanentEST puts a permanent CA behind EST: it knows passwords alone.
type permanentEST struct{ ca *est.CA }

// Enrol implements esthttp.Authority.
func (permanentEST) Enrol(context.Context, est.Request) (est.Issued, error) {
	return est.Issued{}, errPermanent
}

// Reenrol implements esthttp.Authority.
func (permanentEST) Reenrol(context.Context, est.Request) (est.Issued, error) {
	return est.Issued{}, errPermanent
}

// GenerateKey implements esthttp.Authority: a key that is made outside of its device
// is made by "ca factory".
func (permanentEST) GenerateKey(context.Context, est.Request) (est.Keyed, error) {
	return est.Keyed{}, errPermanent
}

// Attributes implements esthttp.Authority.
func (e permanentEST) Attributes(c est.Client) ([]byte, error) { return e.ca.Attributes(c) }

// Published implements esthttp.Authority.
func (e permanentEST) Published() []*x509.Certificate { return e.ca.Published() }

// CheckPassword implements esthttp.Authority.
func (e permanentEST) CheckPassword(ctx context.Context, user, secret string) (est.Password, error) {
	return e.ca.CheckPassword(ctx, user, secret)
}

// EnrolByPassword implements esthttp.Authority.
func (e permanentEST) EnrolByPassword(ctx context.Context, p est.Password, r est.Request) (est.Issued, error) {
	return e.ca.CertifyFactoryByPassword(ctx, p, r.CSR)
}

// EnrolClient returns a client of the EST server at url, whose CA is in the PEM file
// anchors, for who has a one-time password.
func EnrolClient(url, anchors, user string, password est.Secret) (*esthttp.Client, error) {
	certs, err := readCertificates(anchors)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	for _, c := range certs {
		secure.RootCAs.AddCert(c)
	}
	return esthttp.NewClient(esthttp.ClientOptions{
		URL: url, User: user, Password: password, HTTP: &http.Client{
			Timeout: upstreamTimeout, Transport: &http.Transport{TLSClientConfig: secure, IdleConnTimeout: idleTimeout},
		},
	})
}
