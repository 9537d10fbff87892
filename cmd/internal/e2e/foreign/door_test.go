package foreign_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// errLater reports what will be possible later: 5.03.
var errLater = errors.New("later")

// Content-Formats (RFC 9148 §4.3, RFC 7252 §12.3, LwM2M Core §7.5, RFC 9782 §6.6).
const (
	formatText      = 0
	formatOctets    = 42
	formatCertsOnly = 281
	formatPKIX      = 287
	formatCBOR      = 60
	formatEvidence  = 263
	formatReport    = 270
	formatTLV       = 11542
)

// A door is where devices come: EST-coaps and the registration of LwM2M.
type door struct {
	ca       *ca
	factory  *x509.Certificate // of the factory's CA
	listener net.Listener
	arrived  func(endpoint string, l *link) // a device has registered
	gates    map[string]gate                // before enrolment, by the first segment of the path

	mu    sync.Mutex
	links map[string]*link // of registered devices, by endpoint
}

// A gate answers a device that must pass it before it may enrol.
type gate func(factory *x509.Certificate, r coapRequest) coapResponse

// open serves devices until the test ends.
func (d *door) open(t *testing.T, host string) {
	t.Helper()
	listener, err := dtls.ListenWithOptions("udp", &net.UDPAddr{IP: net.ParseIP(host)},
		dtls.WithCertificates(d.ca.server(host)), dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret))
	if err != nil {
		t.Fatal(err)
	}
	d.listener, d.links = listener, map[string]*link{}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
}

// uri is what devices are told.
func (d *door) uri() string { return "coaps://" + d.listener.Addr().String() }

const handshakeLimit = 30 * time.Second

// serve leads the handshake, finds out who it is, and answers it.
func (d *door) serve(accepted net.Conn) {
	defer func() { _ = accepted.Close() }()
	conn, ok := accepted.(*dtls.Conn)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	state, ok := conn.ConnectionState()
	if !ok || len(state.PeerCertificates) == 0 {
		return
	}
	leaf, err := x509.ParseCertificate(state.PeerCertificates[0])
	if err != nil {
		return
	}
	var l *link
	switch {
	case leaf.CheckSignatureFrom(d.factory) == nil:
		l = newLink(conn, func(r coapRequest) coapResponse { return d.est(leaf, r) })
	case leaf.CheckSignatureFrom(d.ca.certificate) == nil && d.ca.live(leaf):
		l = newLink(conn, func(r coapRequest) coapResponse { return d.register(leaf, l, r) })
	default:
		return
	}
	l.serve()
}

// est answers a device that shows its factory certificate.
func (d *door) est(factory *x509.Certificate, r coapRequest) coapResponse {
	first, _, _ := strings.Cut(r.path, "/")
	pass, gated := d.gates[first]
	switch {
	case gated:
		return pass(factory, r)
	case r.path == "est/crts" && r.code == codes.GET:
		return coapResponse{code: codes.Content, format: formatCertsOnly, payload: certsOnly(d.ca.certificate.Raw)}
	case r.path == "est/sen" && r.code == codes.POST:
		return issued(r, func() (*x509.Certificate, error) { return d.ca.enrol(factory, r.payload) })
	}
	return coapResponse{code: codes.Forbidden, format: -1}
}

// issued answers with the certificate that is issued, in the format that was asked for.
func issued(r coapRequest, issue func() (*x509.Certificate, error)) coapResponse {
	certificate, err := issue()
	switch {
	case errors.Is(err, errLater):
		return coapResponse{code: codes.ServiceUnavailable, format: -1}
	case err != nil:
		return coapResponse{code: codes.Forbidden, format: -1}
	case r.accept == formatCertsOnly:
		return coapResponse{code: codes.Changed, format: formatCertsOnly, payload: certsOnly(certificate.Raw)}
	}
	return coapResponse{code: codes.Changed, format: formatPKIX, payload: certificate.Raw}
}

// register answers a device that shows an operational certificate.
func (d *door) register(leaf *x509.Certificate, l *link, r coapRequest) coapResponse {
	name := leaf.Subject.CommonName
	switch {
	case !d.ca.live(leaf):
		return coapResponse{code: codes.Forbidden, format: -1}
	case r.path == "est/sren" && r.code == codes.POST:
		return issued(r, func() (*x509.Certificate, error) { return d.ca.renew(leaf, r.payload) })
	case r.path == "rd" && r.code == codes.POST:
		d.mu.Lock()
		d.links[name] = l
		d.mu.Unlock()
		if d.arrived != nil {
			go d.arrived(name, l)
		}
		return coapResponse{code: codes.Created, format: -1, location: []string{"rd", name}}
	case r.path == "rd/"+name && r.code == codes.POST:
		return coapResponse{code: codes.Changed, format: -1}
	case r.path == "rd/"+name && r.code == codes.DELETE:
		d.mu.Lock()
		delete(d.links, name)
		d.mu.Unlock()
		return coapResponse{code: codes.Deleted, format: -1}
	case strings.HasPrefix(r.path, "rd"):
		return coapResponse{code: codes.NotFound, format: -1}
	}
	return coapResponse{code: codes.Forbidden, format: -1}
}

// device returns the association of a registered device, or nil.
func (d *door) device(endpoint string) *link {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.links[endpoint]
}
