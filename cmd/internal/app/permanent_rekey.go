package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/transfer"
)

// RekeyOptions say for whom a permanent CA re-keys factory certificates over
// EST-coaps (transfer protocol §6).
type RekeyOptions struct {
	Listen string // address, host and port; "": it does not
	// Providers are files with the certificates of the CAs under which a provider's
	// devices have their operational certificates, by the provider's name.
	Providers map[string]string
	// ServiceUser is a file with the certificates by which service users sign mandates.
	// With it a device is re-keyed only with a mandate to the provider that it has come
	// to. "": none is asked for.
	ServiceUser string
	AckTimeout  time.Duration // of CoAP; zero: 2 s
}

// rekeyer is the EST-coaps side of a permanent CA. It implements dtls.Credentials and
// estcoap.Authority.
type rekeyer struct {
	ca        *est.CA
	cert      *tls.Certificate
	providers map[string]*x509.CertPool
	users     []*x509.Certificate
	names     vouchers
	engine    *coap.Engine
	auditor   *auditor
}

// newRekeyer reads the files of o. It returns ErrPKI.
func (p *Permanent) newRekeyer(o RekeyOptions, server *tls.Certificate, a *auditor, log *slog.Logger) (
	*rekeyer, *transport.Listener, error,
) {
	if len(o.Providers) == 0 {
		return nil, nil, fmt.Errorf("%w: a permanent CA re-keys devices of the providers that it is told", ErrPKI)
	}
	k := &rekeyer{ca: p.ca, cert: server, providers: map[string]*x509.CertPool{}, auditor: a}
	for name, file := range o.Providers {
		certs, err := readCertificates(file)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: provider %s: %w", ErrPKI, name, err)
		}
		k.providers[name] = x509.NewCertPool()
		for _, c := range certs {
			k.providers[name].AddCert(c)
		}
	}
	if o.ServiceUser != "" {
		var err error
		if k.users, err = readCertificates(o.ServiceUser); err != nil {
			return nil, nil, fmt.Errorf("%w: service users: %w", ErrPKI, err)
		}
	}
	functions, err := estcoap.NewServer(estcoap.ServerOptions{CA: k, Refused: k.refusedRequest, Log: log})
	if err != nil {
		return nil, nil, err
	}
	k.engine = coap.New(coap.Options{
		Handler: k.confirming(functions), Params: coap.Params{AckTimeout: o.AckTimeout}, Log: log, MaxBody: maxRekeyBody,
	})
	listener, err := transport.Listen(transport.ListenOptions{
		Addr: o.Listen, Credentials: k, Engine: k.engine, Log: log, Refused: k.refusedHandshake,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("coaps: %w", err)
	}
	return k, listener, nil
}

// maxRekeyBody bounds what a device may send: a request with a mandate.
const maxRekeyBody = est.MaxRekeyCSR + 1

// confirming passes requests on. Whoever asks for anything by a factory certificate
// uses it: the first use of one that takes another's place supersedes that one.
func (k *rekeyer) confirming(next coap.Handler) coap.Handler {
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if surfaceOf(r.Path) != surfaceEST {
			return &coap.Response{Code: coap.NotFound}
		}
		who := r.Peer.Identity()
		if who.Role != coap.RoleFactory {
			return next.ServeCoAP(ctx, r)
		}
		_, err := k.ca.UseFactory(ctx, who.Certificate)
		switch {
		case err == nil:
			return next.ServeCoAP(ctx, r)
		case errors.Is(err, est.ErrRevoked), errors.Is(err, est.ErrExpired), errors.Is(err, est.ErrUnknown):
			return &coap.Response{Code: coap.Forbidden}
		default:
			return &coap.Response{Code: coap.InternalServerError}
		}
	})
}

// Certificate implements dtls.Credentials.
func (k *rekeyer) Certificate(string) (*tls.Certificate, error) { return k.cert, nil }

// PSK implements dtls.Credentials: nobody has one.
func (k *rekeyer) PSK([]byte) ([]byte, error) { return nil, dtls.ErrUnknownIdentity }

// Identify implements dtls.Credentials: a live factory certificate of our own, or an
// operational one of a provider that we know.
func (k *rekeyer) Identify(chain [][]byte, _ []byte) (coap.Identity, error) {
	if len(chain) == 0 {
		return coap.Identity{}, dtls.ErrUnknownIdentity
	}
	hash := sum(chain[0])
	r, err := k.ca.LiveRecord(context.Background(), hash, time.Now())
	switch {
	case err == nil && r.Kind == est.KindFactory:
		return coap.Identity{Role: coap.RoleFactory, Name: r.Name, Certificate: hash}, nil
	case err == nil:
		return coap.Identity{}, fmt.Errorf("%w: %s %s", est.ErrForbidden, r.Kind, r.Name)
	case !errors.Is(err, est.ErrUnknown):
		return coap.Identity{}, err
	}
	leaf, provider, err := k.operational(chain)
	if err != nil {
		return coap.Identity{}, err
	}
	k.names.note(hash, provider)
	return coap.Identity{Role: coap.RoleOperational, Name: leaf.Subject.CommonName, Certificate: hash}, nil
}

// operational returns an operational certificate and the name of its provider.
func (k *rekeyer) operational(chain [][]byte) (*x509.Certificate, string, error) {
	parsed := make([]*x509.Certificate, 0, len(chain))
	between := x509.NewCertPool()
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, "", fmt.Errorf("%w: %w", est.ErrForbidden, err)
		}
		parsed = append(parsed, c)
		if i > 0 {
			between.AddCert(c)
		}
	}
	if parsed[0].IsCA {
		return nil, "", fmt.Errorf("%w: %s is a CA", est.ErrForbidden, parsed[0].Subject)
	}
	for name, roots := range k.providers {
		_, err := parsed[0].Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err == nil {
			return parsed[0], name, nil
		}
	}
	return nil, "", fmt.Errorf("%w: %s has no certificate of a provider that we know", est.ErrForbidden,
		parsed[0].Subject.CommonName)
}

// Reenrol implements estcoap.Authority: it re-keys.
func (k *rekeyer) Reenrol(ctx context.Context, r est.Request) (est.Issued, error) {
	provider, ok := k.names.of(r.Client.Certificate)
	if !ok { // forgotten: there were too many since
		return est.Issued{}, &est.PendingError{Retry: est.DefaultRetry, What: "come by another association"}
	}
	ask := est.FactoryRekey{Client: r.Client, CSR: r.CSR}
	if len(k.users) > 0 {
		ask.Mandate = func(factory est.Hash, raw []byte) error {
			return k.mandated(factory, r.Client.Name, raw, provider)
		}
	}
	return k.ca.RekeyFactory(ctx, ask)
}

// errMandate reports a device without a service user's order to its provider.
var errMandate = errors.New("no mandate in force by which the device came to its provider")

// mandated judges a mandate: signed by a service user, in force, for the device of that
// name, to the provider whose certificate it has shown.
func (k *rekeyer) mandated(factory est.Hash, name string, raw []byte, provider string) error {
	if len(raw) == 0 {
		return errMandate
	}
	for _, user := range k.users {
		m, err := transfer.VerifyMandate(raw, user)
		switch {
		case err != nil:
		case m.Body.To != provider:
			return fmt.Errorf("%w: it is to %q, not to %q", errMandate, m.Body.To, provider)
		case !m.Body.Names(transfer.Hash(factory), name):
			return fmt.Errorf("%w: it does not name the device", errMandate)
		case time.Now().After(m.Body.Expires.Time()):
			return fmt.Errorf("%w: it has expired", errMandate)
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: no service user that we know has signed it", errMandate)
}

// Enrol implements estcoap.Authority.
func (*rekeyer) Enrol(context.Context, est.Request) (est.Issued, error) {
	return est.Issued{}, errPermanentCoAP
}

// GenerateKey implements estcoap.Authority: a key that somebody else makes is no
// device's own.
func (*rekeyer) GenerateKey(context.Context, est.Request) (est.Keyed, error) {
	return est.Keyed{}, errPermanentCoAP
}

// errPermanentCoAP is told to who asks for anything but a re-key.
var errPermanentCoAP = fmt.Errorf("%w: a permanent CA re-keys by /sren and operational certificate", est.ErrForbidden)

// GeneratesKeys implements estcoap.Authority.
func (*rekeyer) GeneratesKeys() bool { return false }

// Attributes implements estcoap.Authority.
func (k *rekeyer) Attributes(c est.Client) ([]byte, error) { return k.ca.Attributes(c) }

// Published implements estcoap.Authority.
func (k *rekeyer) Published() []*x509.Certificate { return k.ca.Published() }

func (k *rekeyer) refusedRequest(r *coap.Request, code coap.Code, why string) {
	who := r.Peer.Identity()
	k.auditor.add(audit.Row{
		Actor: "device:" + who.Name, Action: "enrolment.refuse", Subject: who.Name,
		Reason: fmt.Sprintf("%s: %s", code, why),
	})
}

func (k *rekeyer) refusedHandshake(addr netip.AddrPort, reason error) {
	k.auditor.add(audit.Row{
		Actor: "address:" + addr.String(), Action: "handshake.refuse", Subject: addr.Addr().String(),
		Reason: reason.Error(),
	})
}
