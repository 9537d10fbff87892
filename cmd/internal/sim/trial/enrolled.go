package trial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"steward/cmd/internal/sim"
	"steward/est/estcoap"
	"steward/objects"
)

// enrolAll enrols for the accounts of security mode 4, on the association on which
// the bootstrap has just ended: CA certificates first, of which the account's must be
// one, then a certificate of its own. A device with a factory certificate that is
// refused here asks the server of the account.
func (l *life) enrolAll(ctx context.Context, k *Link) error {
	l.d.keep(nil)
	certificates := map[uint16]*tls.Certificate{}
	for _, a := range l.d.accounts() {
		if a.Mode != objects.ModeEST {
			continue
		}
		err := l.known(ctx, k, a)
		if err == nil {
			certificates[a.ShortServer], err = l.enrol(ctx, k, a)
		}
		if _, refused := errors.AsType[*estcoap.StatusError](err); refused && l.d.o.Factory != nil {
			delete(certificates, a.ShortServer)
			l.d.event(sim.Event{Kind: sim.Retrying, Server: a.URI, Detail: "enrolment after bootstrap", Error: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
	}
	l.d.keep(certificates)
	return nil
}

// known checks that the CA behind k is that of the account (/0/x/4).
func (l *life) known(ctx context.Context, k *Link, a Account) error {
	c, err := estcoap.NewClient(estcoap.ClientOptions{Engine: l.engine, Peer: k.Peer})
	if err != nil {
		return err
	}
	certs, err := c.Cacerts(ctx)
	if err != nil {
		return fmt.Errorf("CA certificates: %w", err)
	}
	for _, have := range certs {
		if bytes.Equal(have.Raw, a.ServerKey) || issued(have, a.ServerKey) {
			return nil
		}
	}
	return fmt.Errorf("%w: /crts has no certificate of the account's CA", errServer)
}

// issued reports whether the certificate above (DER) issued c.
func issued(c *x509.Certificate, above []byte) bool {
	ca, err := x509.ParseCertificate(above)
	return err == nil && c.CheckSignatureFrom(ca) == nil
}

// keep keeps the certificates that were got by EST, by short server id.
func (d *Device) keep(certificates map[uint16]*tls.Certificate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enrolled = certificates
}

// certificate returns that for an account, nil if there is none yet.
func (d *Device) certificate(a Account) *tls.Certificate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.enrolled[a.ShortServer]
}
