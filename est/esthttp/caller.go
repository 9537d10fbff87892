package esthttp

import (
	"errors"
	"fmt"
	"net/http"

	"steward/est"
)

// A caller is who asks, as far as it is known.
type caller struct {
	client  est.Client // zero: nobody that we know
	audited bool       // the authority has the request and audits what becomes of it
}

func (c caller) String() string {
	if c.client.Name == "" {
		return ""
	}
	return string(c.client.Role) + " " + c.client.Name
}

// actor names the caller in audit rows.
func (c caller) actor(r *http.Request) string {
	if c.client.Name != "" {
		return "device:" + c.client.Name
	}
	return "address:" + r.RemoteAddr
}

// authenticate says who the client is by its certificate.
func (s *Server) authenticate(r *http.Request, who *caller) error {
	var chain [][]byte
	if r.TLS != nil {
		for _, c := range r.TLS.PeerCertificates {
			chain = append(chain, c.Raw)
		}
	}
	if len(chain) == 0 {
		return unauthorized("A client certificate is needed.", nil)
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
