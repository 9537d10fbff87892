package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/config"
	"steward/est"
	"steward/est/esthttp"
)

// upstream makes the external CA of the settings; nil: there is none.
func upstream(u config.Upstream, retry time.Duration) (est.Upstream, error) {
	switch u.Kind {
	case config.UpstreamEST:
		return upstreamEST(u)
	case config.UpstreamFiles:
		anchors, err := readCertificates(u.Anchors)
		if err != nil {
			return nil, err
		}
		return newExchange(u.Directory, anchors, retry)
	default:
		return nil, nil //nolint:nilnil // our own issuer
	}
}

// upstreamTimeout is for one request to an external CA.
const upstreamTimeout = 30 * time.Second

func upstreamEST(u config.Upstream) (est.Upstream, error) {
	anchors, err := readCertificates(u.Anchors)
	if err != nil {
		return nil, err
	}
	servers := anchors
	if u.TLSAnchors != "" {
		if servers, err = readCertificates(u.TLSAnchors); err != nil {
			return nil, err
		}
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	for _, c := range servers {
		secure.RootCAs.AddCert(c)
	}
	if u.Certificate != "" {
		if info, err := os.Stat(u.Key); err == nil && info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("%w: %s can be read by others (mode %o)", ErrPKI, u.Key, info.Mode().Perm())
		}
		own, err := tls.LoadX509KeyPair(u.Certificate, u.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: upstream certificate: %w", ErrPKI, err)
		}
		secure.Certificates = []tls.Certificate{own}
	}
	password, err := u.Password()
	if err != nil {
		return nil, err
	}
	client, err := esthttp.NewClient(esthttp.ClientOptions{
		URL: u.URL, User: u.User, Password: password,
		HTTP: &http.Client{
			Timeout:   upstreamTimeout,
			Transport: &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true, IdleConnTimeout: idleTimeout},
		},
	})
	if err != nil {
		return nil, err
	}
	return esthttp.NewUpstream(client, anchors)
}

// maxAnchors bounds the certificates of a file.
const maxAnchors = 16

// readCertificates reads the certificates of a PEM file, at least one.
func readCertificates(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPKI, err)
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || len(out) == maxAnchors {
			return nil, fmt.Errorf("%w: %s: %.40q after %d certificates", ErrPKI, path, block.Type, len(out))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrPKI, path, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no certificate in PEM", ErrPKI, path)
	}
	return out, nil
}

// maxForwards is how many requests an external CA gets from us at once, and how many
// are looked at in one round.
const (
	maxForwards = 4
	maxRound    = 256
)

// forward asks the external CA for what devices wait for, until ctx ends.
func (a *App) forward(ctx context.Context) error {
	if a.upstream == nil {
		return nil
	}
	tick := time.NewTicker(a.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.logError(ctx, "asking the external CA", a.forwardDue(ctx))
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) forwardDue(ctx context.Context) error {
	due, err := a.pki.ca.DueErrands(ctx, maxRound)
	if err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(maxForwards)
	for _, e := range due {
		group.Go(func() error { return a.pki.ca.Forward(inner, e) })
	}
	err = group.Wait()
	if files, ok := a.upstream.(*exchange); ok && err == nil {
		err = files.tidy(ctx, a.pki.ca)
	}
	return err
}
