package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/transfer/coordinator"
)

// partners looks at the certificates that are pinned, and whether the partners' listeners
// answer with them.
func (e *examination) partners() {
	i, err := sqlite.Inspect(e.ctx, e.file("steward.db"))
	if err != nil {
		return // the database's own findings say why
	}
	list, err := i.Partners(e.ctx)
	if err = errors.Join(err, i.Close()); err != nil {
		e.add("partners", Warning, "", "they cannot be read: %v", err)
		return
	}
	for _, p := range list {
		if !p.Admitted() {
			continue
		}
		e.pinned(p)
		if p.PeerURI != "" {
			e.partner(p)
		}
	}
}

func (e *examination) partner(p coordinator.Partner) {
	const check = "partner"
	const remedy = "ask the partner; check the firewall and DNS"
	u, err := url.Parse(p.PeerURI)
	if err != nil {
		e.add(check, Error, "correct the URI", "%s: %v", p.Name, err)
		return
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.Patience)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, //nolint:gosec // G402: its key is pinned, below
	}}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		e.add(check, Warning, remedy, "%s: %v", p.Name, err)
		return
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	secure, ok := conn.(*tls.Conn)
	shown := coordinator.Partner{}
	if ok && len(secure.ConnectionState().PeerCertificates) > 0 {
		shown.TLS = secure.ConnectionState().PeerCertificates[0].Raw
	}
	if shown.TLS == nil || !p.Shows(shown.TLSKey()) {
		e.add(check, Error, "compare keys with the partner by another way, then pin the new one",
			"%s answers at %s with another key than the one pinned", p.Name, p.PeerURI)
		return
	}
	if shown.TLSKey() != p.TLSKey() {
		e.ok(check, "%s answers at %s, with the next key that it has announced", p.Name, p.PeerURI)
		return
	}
	e.ok(check, "%s answers at %s", p.Name, p.PeerURI)
}

// pinned looks when a partner's certificates end. Their keys are what is pinned: they count
// as long as they are, and a partner changes them in time by announcing the next.
func (e *examination) pinned(p coordinator.Partner) {
	for _, c := range []struct {
		what      string
		der, next []byte
	}{
		{"TLS", p.TLS, p.NextTLS},
		{"signing", p.Signing, p.NextSigning},
		{"issuing", p.Issuing, nil},
		{"verifier", p.Verifier, nil},
	} {
		cert, err := x509.ParseCertificate(c.der)
		if err != nil || c.next != nil { // it has none, or another follows
			continue
		}
		ends := "ends"
		if e.Now().After(cert.NotAfter) {
			ends = "ended"
		}
		if e.Now().Add(endsSoon).After(cert.NotAfter) {
			e.add("partner", Warning, "ask the partner for an identity file with its next keys",
				"%s: the %s certificate %s on %s", p.Name, c.what, ends, cert.NotAfter.UTC().Format(time.DateOnly))
		}
	}
}
