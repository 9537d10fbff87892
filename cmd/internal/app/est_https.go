package app

import (
	"context"
	"crypto/tls"
	"time"

	"steward/est"
	"steward/est/esthttp"
)

// buildESTHTTPS binds the listener of EST over HTTPS. Client certificates are asked
// for and judged at each request, not in the handshake: cacerts is for everybody,
// and who has a one-time password has no certificate yet (RFC 7030 §3.2.3, §4.1.2).
func (a *App) buildESTHTTPS(ctx context.Context) error {
	proof, err := a.newCredentials(nil)
	if err != nil {
		return err
	}
	byLabel, err := labels(a, func(ca *est.CA) esthttp.Authority { return ca })
	if err != nil {
		return err
	}
	handler, err := esthttp.NewServer(esthttp.ServerOptions{
		CA: a.pki.ca, Labels: byLabel, Identify: a.pki.ca.Identify, Audit: a.auditor, Now: time.Now, Log: a.log,
	})
	if err != nil {
		return err
	}
	return a.web.add(ctx, "est-https", a.cfg.ESTHTTPS, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*proof.cert}, ClientAuth: tls.RequestClientCert,
	}, hurried(handler), a.log)
}
