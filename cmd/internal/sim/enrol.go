package sim

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"

	"steward/est/estcoap"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/transfer"
)

// csrKey is where the certificate request under way is kept, so that a repetition
// is the same request, byte for byte.
const csrKey = "csr"

// enrolHome enrols at the provider of the current domain: for the first time, or anew
// with a key that the device has had before.
func (l *life) enrolHome(ctx context.Context, home transfer.Home, anchors []transfer.Anchor) error {
	keys, err := l.enrolmentKeys()
	if err != nil {
		return err
	}
	there, err := l.factoryLink(ctx, home.EnrollURI, anchors, true)
	if err != nil {
		return err
	}
	var certificate *x509.Certificate
	for _, key := range keys {
		certificate, err = l.enrol(ctx, there, home.EnrollURI, key, anchors)
		status, ok := errors.AsType[*estcoap.StatusError](err)
		if !ok || status.Code != coap.Forbidden { // else the right may be bound to another of them
			break
		}
	}
	if _, ok := errors.AsType[*estcoap.StatusError](err); !ok {
		l.links.drop(there, l.cl) // done, or perhaps the server has forgotten us
	}
	if err != nil {
		return err
	}
	err = l.with(func(tr *transfer.Device) error { return tr.SetOperational(certificate.Raw) })
	if err == nil {
		err = l.got()
	}
	if err == nil {
		l.links.condemn(nil) // an association by the certificate before is of no use
		l.d.event(l.about(Event{Kind: Enrolled, Server: there.host, Detail: l.encoding()}))
	}
	return err
}

// enrolmentKeys are the keys that the right may be bound to. A request that was kept
// was sent.
func (l *life) enrolmentKeys() (keys []crypto.Signer, err error) {
	request, _, parsed := readRequest(l.nv.Get(csrKey))
	err = l.with(func(tr *transfer.Device) (err error) {
		key, _, ok := tr.Operational()
		asked := parsed == nil && (!ok || !samePublic(key, request.PublicKey))
		keys, err = tr.EnrolmentKeys(asked)
		return err
	})
	return keys, err
}

// factoryLink returns an association to the server at uri by a factory
// certificate that the server may know. It stays open between attempts: a handshake
// costs more than all that follows, and the former provider reads the FALLBACK receipt
// over it.
func (l *life) factoryLink(ctx context.Context, uri string, anchors []transfer.Anchor, registrar bool) (*link, error) {
	if there := l.links.factory(uri, registrar); there != nil {
		return there, nil
	}
	var there *link
	var err error
	for _, certificate := range l.identities() {
		there, err = l.dial(ctx, dialing{
			uri: uri, certificate: certificate, anchors: anchors, registrar: registrar, phase: phaseEnrolment,
		})
		if !errors.Is(err, dtls.ErrHandshake) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	l.cl.Attach(there.conn, client.Account{})
	l.links.keepFactory(there)
	return there, nil
}

// enrol asks for a certificate for key and checks that it is under one of the
// anchors.
func (l *life) enrol(
	ctx context.Context, there *link, uri string, key crypto.Signer, anchors []transfer.Anchor,
) (*x509.Certificate, error) {
	c, err := l.estClient(there, uri)
	if err != nil {
		return nil, err
	}
	request, err := l.request(key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*l.o.patience()) // of two requests
	defer cancel()
	if there.cas == nil { // once an association
		if there.cas, err = c.Cacerts(ctx); err != nil {
			return nil, fmt.Errorf("crts: %w", err)
		}
	}
	certificate, err := c.Enrol(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("sen: %w", err)
	}
	if _, err := vouch(certificate, there.cas, anchors, l.o.now()); err != nil {
		return nil, fmt.Errorf("sen: certificate issued: %w", err)
	}
	return certificate, nil
}

// estClient speaks to the enrolment server at uri: below its path, or /est if it
// has none.
func (l *life) estClient(there *link, uri string) (*estcoap.Client, error) {
	return l.estClientBy(there, uri, l.o.C509)
}

// estClientBy is estClient, which speaks C509 by these formats.
func (l *life) estClientBy(there *link, uri string, formats estcoap.C509Formats) (*estcoap.Client, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("enrolment URI: %w", err)
	}
	return estcoap.NewClient(estcoap.ClientOptions{
		Engine: l.engine, Peer: there.conn, Root: segments(u), CertsOnly: l.o.CertsOnly,
		C509: formats,
	})
}

func samePublic(key crypto.Signer, public crypto.PublicKey) bool {
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(public)
}

// expired reports whether a certificate is of no use any more.
func (l *life) expired(der []byte) bool {
	now := l.o.now()
	c, err := x509.ParseCertificate(der)
	return err != nil || !now.IsZero() && now.After(c.NotAfter)
}

// vouchRenewed checks that a renewed certificate is under one of the anchors. After a
// roll-over of the CA it is by way of what /crts says now (RFC 7030 §4.1.3).
func (l *life) vouchRenewed(
	ctx context.Context, c *estcoap.Client, fresh *x509.Certificate, anchors []transfer.Anchor,
) error {
	if _, err := vouch(fresh, nil, anchors, l.o.now()); err == nil {
		return nil
	}
	cas, err := c.Cacerts(ctx)
	if err != nil {
		return fmt.Errorf("crts: %w", err)
	}
	_, err = vouch(fresh, cas, anchors, l.o.now())
	return err
}
