package devcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/transfer"
)

// A mood is how an EST server answers /sen.
type mood int

const (
	moodOpen     mood = iota // a certificate
	moodLater                // 5.03
	moodRefuse               // 4.03
	moodOtherKey             // a certificate, but for another key
	moodLost                 // a certificate, which gets lost
)

// A provider is one of the pair that a run makes: CA, EST server and LwM2M server on
// one socket. What it does, the checks say.
type provider struct {
	name     string
	ca       *authority
	factory  *x509.CertPool
	messages transfer.Signer // signs TransferMessage
	good     *tls.Certificate
	rogue    *tls.Certificate // may not enrol

	engine   *coap.Engine
	listener *transport.Listener

	mu       sync.Mutex
	changed  chan struct{}
	mood     mood
	posing   *tls.Certificate // shown instead of the good one; nil: the good one
	seen     seen
	device   *session          // registered; nil: none
	visitor  coap.Peer         // the newest by the factory certificate
	issued   *x509.Certificate // the newest operational certificate
	answered []byte            // the request that it answers
}

// seen counts what devices did.
type seen struct {
	handshakes, asked, left int // all; POST /sen; de-registrations
	registered              int
	requests                [][]byte // bodies of /sen
	posed                   int      // requests to a server that is not what it must be
}

// A session is a device as it registered.
type session struct {
	peer    coap.Peer
	version lwm2m.Version
	formats []uint16
	links   []lwm2m.Path
}

func newProvider(name, host, addr string, factory *x509.Certificate) (p *provider, err error) {
	p = &provider{name: name, factory: x509.NewCertPool(), changed: make(chan struct{})}
	p.factory.AddCert(factory)
	if p.ca, err = newAuthority(name + " CA"); err != nil {
		return nil, err
	}
	if p.messages, err = p.ca.signer(name + " messages"); err != nil {
		return nil, err
	}
	if p.good, err = p.ca.server(host, true); err != nil {
		return nil, err
	}
	if p.rogue, err = p.ca.server(host, false); err != nil {
		return nil, err
	}
	p.engine = coap.New(coap.Options{Handler: coap.HandlerFunc(p.serve), Closed: p.closed})
	p.listener, err = transport.Listen(transport.ListenOptions{
		Addr: addr, Credentials: credentials{p}, Engine: p.engine, Sockets: 1,
	})
	return p, err
}

// close gives the socket of a provider free that was never run, nil as it may be.
func (p *provider) close() error {
	if p == nil || p.listener == nil {
		return nil
	}
	return p.listener.Close()
}

// run serves until ctx ends.
func (p *provider) run(ctx context.Context) error {
	var all errgroup.Group
	all.Go(func() error { return p.engine.Run(ctx) })
	all.Go(func() error { return p.listener.Run(ctx) })
	return all.Wait()
}

// uri is what the device is told.
func (p *provider) uri(host string) string {
	return "coaps://" + net.JoinHostPort(host, fmt.Sprint(p.listener.Addr().Port()))
}

// anchors are those of the provider's domain, with the purposes of label 8.
func (p *provider) anchors() []transfer.OfferCertificate {
	return []transfer.OfferCertificate{
		{
			Certificate: p.ca.certificate.Raw,
			Purposes:    transfer.Enrol | transfer.DM | transfer.Update | transfer.Bootstrap,
		},
		{Certificate: p.messages.Certificate, Purposes: transfer.TransferSigner},
	}
}

// credentials are those of the socket: dtls.Credentials.
type credentials struct{ *provider }

// Certificate implements dtls.Credentials.
func (c credentials) Certificate(string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.handshakes++
	c.tell()
	if c.posing != nil {
		return c.posing, nil
	}
	return c.good, nil
}

// PSK implements dtls.Credentials.
func (credentials) PSK([]byte) ([]byte, error) { return nil, dtls.ErrUnknownIdentity }

var errStranger = errors.New("certificate of nobody known")

// Identify implements dtls.Credentials: the factory certificate, or the newest
// operational one.
func (c credentials) Identify(chain [][]byte, _ []byte) (coap.Identity, error) {
	if len(chain) == 0 {
		return coap.Identity{}, errStranger
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return coap.Identity{}, fmt.Errorf("%w: %w", errStranger, err)
	}
	who := coap.Identity{Name: leaf.Subject.CommonName, Certificate: transfer.HashOf(leaf.Raw), Role: coap.RoleFactory}
	o := x509.VerifyOptions{
		Roots: c.factory, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, der := range chain[1:] {
		if other, err := x509.ParseCertificate(der); err == nil {
			o.Intermediates.AddCert(other)
		}
	}
	if _, err := leaf.Verify(o); err == nil {
		return who, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.issued == nil || !c.issued.Equal(leaf) {
		return coap.Identity{}, errStranger
	}
	who.Role = coap.RoleOperational
	return who, nil
}

// closed forgets an association.
func (p *provider) closed(peer coap.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.visitor == peer {
		p.visitor = nil
	}
	if p.device != nil && p.device.peer == peer {
		p.device = nil
		p.tell()
	}
}

// tell wakes whoever waits. The caller holds mu.
func (p *provider) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// until waits until done says so of what the provider has; it is called with mu
// held. It reports whether that came in time.
func (p *provider) until(ctx context.Context, limit time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		p.mu.Lock()
		ok, changed := done(), p.changed
		p.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// set changes what the provider does.
func (p *provider) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// operational returns the newest certificate that was issued; nil: none.
func (p *provider) operational() *x509.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issued
}

// have returns what was seen so far.
func (p *provider) have() seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}
