package esthttp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"steward/est"
)

// A caller is who asks, as far as it is known.
type caller struct {
	client   est.Client    // by certificate; zero: none that we know
	password *est.Password // by password; nil: none
	audited  bool          // the authority has the request and audits what becomes of it
}

func (c caller) String() string {
	switch {
	case c.password != nil:
		return "password " + c.password.ID
	case c.client.Name != "":
		return string(c.client.Role) + " " + c.client.Name
	}
	return ""
}

// actor names the caller in audit rows.
func (c caller) actor(r *http.Request) string {
	switch {
	case c.password != nil:
		return "password:" + c.password.ID
	case c.client.Name != "":
		return "device:" + c.client.Name
	}
	return "address:" + r.RemoteAddr
}

// authenticate says who the client is: by its certificate, which counts if it is
// known, else by a password (RFC 7030 §3.2.3).
func (s *Server) authenticate(r *http.Request, ca Authority, who *caller) error {
	byCertificate := s.certificate(r, who)
	if byCertificate == nil {
		return nil
	}
	user, secret, given := r.BasicAuth()
	if !given {
		return byCertificate
	}
	return s.password(r.Context(), r.RemoteAddr, ca, user, secret, who)
}

// certificate says who the client is by its certificate.
func (s *Server) certificate(r *http.Request, who *caller) error {
	var certs []*x509.Certificate
	if r.TLS != nil {
		certs = r.TLS.PeerCertificates
	}
	if len(certs) == 0 {
		return unauthorized("A client certificate or a one-time password is needed.", nil)
	}
	var chain [][]byte
	for _, c := range certs {
		chain = append(chain, c.Raw)
	}
	client, err := s.o.Identify(r.Context(), chain)
	if errors.Is(err, est.ErrUnknown) || errors.Is(err, est.ErrFactory) {
		return unauthorized("The client certificate is not known here.", fmt.Errorf("client certificate: %w", err))
	}
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	who.client = client
	return nil
}

// password says which password the client knows. Who fails too often waits.
func (s *Server) password(ctx context.Context, remote string, ca Authority, user, secret string, who *caller) error {
	from := origin(remote)
	if wait := s.throttle.wait(from, s.o.Now()); wait > 0 {
		return &est.LimitError{Retry: wait, What: "more than 10 wrong passwords at once"}
	}
	p, err := ca.CheckPassword(ctx, user, secret)
	if errors.Is(err, est.ErrPassword) {
		s.throttle.failed(from, s.o.Now())
		return unauthorized("Unknown user or wrong password, or the password's time is over.", err)
	}
	if err != nil {
		return err
	}
	who.password = &p
	return nil
}
