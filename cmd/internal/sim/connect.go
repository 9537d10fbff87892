package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"steward/est"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/transfer"
)

// A link is an association that the device opened.
type link struct {
	conn      *transport.Conn
	host      string                // as transfer.HostOf gives it
	stands    []transfer.Thumbprint // of anchors that its certificate chains to
	registrar bool                  // its certificate may enrol
	cas       []*x509.Certificate   // what its /crts said; nil: not asked
	meter     *meter
}

// links are the associations open now.
type links struct {
	meters *counters

	mu        sync.Mutex
	all       map[coap.Peer]*link
	manager   *link // the one with the LwM2M server
	enrolment *link // the one by the factory certificate
	condemned bool  // the manager is to be given up
}

// dialing says whom to call and how.
type dialing struct {
	uri         string
	certificate *tls.Certificate
	anchors     []transfer.Anchor // one of them must vouch for the server
	registrar   bool              // the server must be allowed to enrol
	phase       phase
}

// dial opens an association. The server must be the host of the URI and chain to
// one of the anchors; nothing else is ever enough, but where TransportTCP was chosen.
func (l *life) dial(ctx context.Context, o dialing) (*link, error) {
	host, err := transfer.HostOf(o.uri)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(o.uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	k := &link{host: host, registrar: o.registrar, meter: l.d.meters.meter(host, o.phase)}
	if !l.o.secure(o.phase) { // whoever answers there is believed
		for _, a := range o.anchors {
			k.stands = append(k.stands, transfer.ThumbprintOf(a.Certificate))
		}
	}
	verify := func(chain [][]byte) (err error) {
		k.stands, err = checkServer(chain, u.Hostname(), o.anchors, o.registrar, l.o.now())
		if err == nil && !k.registrar { // it may do for both
			_, other := checkServer(chain, u.Hostname(), o.anchors, true, l.o.now())
			k.registrar = other == nil
		}
		return err
	}
	k.conn, err = transport.Dial(ctx, transport.DialOptions{
		URI: l.o.target(u, o.phase), Engine: l.engine, Tap: k.meter.tap, LocalAddr: netip.AddrPortFrom(l.o.LocalAddr, 0),
		Lost:             l.d.ether.lost,
		HandshakeTimeout: l.o.HandshakeTimeout, FlightInterval: l.o.FlightInterval,
		Client: dtls.ClientOptions{
			Certificate: o.certificate, Verify: verify, ServerName: u.Hostname(), CID: !l.o.NoCID,
		},
	})
	if err != nil {
		return nil, err
	}
	k.meter.established()
	l.links.add(k)
	return k, nil
}

// checkServer judges a server's chain, DER, leaf first, and returns the anchors
// under which it stands.
func checkServer(chain [][]byte, host string, anchors []transfer.Anchor, registrar bool, now time.Time) (
	[]transfer.Thumbprint, error,
) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no certificate", ErrServer)
	}
	parsed := make([]*x509.Certificate, 0, len(chain))
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrServer, err)
		}
		parsed = append(parsed, c)
	}
	stands, err := vouch(parsed[0], parsed[1:], anchors, now)
	if err != nil {
		return nil, err
	}
	if slices.Contains(stands, transfer.ThumbprintOf(chain[0])) {
		registrar = false // the anchor itself needs no mark
	}
	if err := est.CheckServer(parsed[0], host, registrar, now); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	return stands, nil
}

// vouch returns the thumbprints of the anchors that a certificate chains to, or
// ErrServer if there is none. A zero now is that of a device without a clock: the
// time when the last of the certificates began to be valid stands for it.
func vouch(leaf *x509.Certificate, others []*x509.Certificate, anchors []transfer.Anchor, now time.Time) (
	[]transfer.Thumbprint, error,
) {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	begins := leaf.NotBefore
	for i := range anchors {
		c, err := anchors[i].X509()
		if err != nil {
			return nil, err
		}
		o.Roots.AddCert(c)
		begins = later(begins, c.NotBefore)
	}
	for _, c := range others {
		o.Intermediates.AddCert(c)
		begins = later(begins, c.NotBefore)
	}
	if now.IsZero() {
		o.CurrentTime = begins
	}
	chains, err := leaf.Verify(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	var stands []transfer.Thumbprint
	for _, chain := range chains {
		stands = append(stands, transfer.ThumbprintOf(chain[len(chain)-1].Raw))
	}
	return stands, nil
}

// segments returns the path of a URI; nil for the root.
func segments(u *url.URL) []string {
	path := strings.Trim(u.Path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (s *links) add(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[k.conn] = k
}

func (s *links) of(p coap.Peer) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[p]
}

// trace is told of every message by the engine.
func (s *links) trace(p coap.Peer, sent bool, datagram []byte) {
	if k := s.of(p); k != nil {
		k.meter.trace(sent, datagram)
	}
}

// management returns the association with the LwM2M server; nil: none that is to
// be used.
func (s *links) management() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.condemned {
		return nil
	}
	return s.manager
}

func (s *links) manage(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manager, s.condemned = k, false
}

// condemn gives up the association with the LwM2M server, if it is p or p is nil,
// and reports whether it was in use.
func (s *links) condemn(p coap.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.manager == nil || s.condemned || p != nil && coap.Peer(s.manager.conn) != p {
		return false
	}
	s.condemned = true
	return true
}

// last returns the association with the LwM2M server, whether or not it still is
// to be used.
func (s *links) last() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manager
}

// managementDone is closed when the server has ended the association; nil without
// one that is in use.
func (s *links) managementDone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.manager == nil || s.condemned {
		return nil
	}
	return s.manager.conn.Done()
}

func (s *links) keepFactory(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enrolment = k
}

// factory returns the open association to the server at uri by the factory
// certificate, if it may be used as asked.
func (s *links) factory(uri string, registrar bool) *link {
	s.mu.Lock()
	k := s.enrolment
	s.mu.Unlock()
	if k == nil || registrar && !k.registrar {
		return nil
	}
	select {
	case <-k.conn.Done():
		return nil
	default:
	}
	host, err := transfer.HostOf(uri)
	if err != nil || host != k.host {
		return nil
	}
	return k
}

// forgetFactory closes the association by the factory certificate, if there is one.
func (s *links) forgetFactory(c *client.Client) {
	s.mu.Lock()
	k := s.enrolment
	s.mu.Unlock()
	s.drop(k, c)
}

// drop closes an association; nil is none.
func (s *links) drop(k *link, c *client.Client) {
	if k == nil {
		return
	}
	c.Detach(k.conn)
	_ = k.conn.Close() // it is over, whatever the socket says
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, k.conn)
	if s.manager == k {
		s.manager, s.condemned = nil, false
	}
	if s.enrolment == k {
		s.enrolment = nil
	}
}

func (s *links) closeAll(c *client.Client) {
	s.mu.Lock()
	open := make([]*link, 0, len(s.all))
	for _, k := range s.all {
		open = append(open, k)
	}
	s.mu.Unlock()
	for _, k := range open {
		s.drop(k, c)
	}
}
