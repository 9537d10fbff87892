package sim

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// A Transport is how a device speaks to its servers.
type Transport string

// The transports.
const (
	TransportUDP Transport = "udp" // DTLS over UDP
	TransportTLS Transport = "tls" // for everything
	// TransportTCP is plain TCP for the LwM2M server, which must allow that; enrolment
	// and updates stay with DTLS.
	TransportTCP Transport = "tcp"
)

// check returns ErrOptions for a transport that is none.
func (t Transport) check(port int) error {
	switch t {
	case "", TransportUDP, TransportTLS, TransportTCP:
	default:
		return fmt.Errorf("%w: transport %.20q; udp, tls or tcp", ErrOptions, t)
	}
	if port < 0 || port > 65535 {
		return fmt.Errorf("%w: port %d", ErrOptions, port)
	}
	return nil
}

// stream reports whether the LwM2M server is reached by a stream.
func (o *Options) stream() bool { return o.Transport == TransportTLS || o.Transport == TransportTCP }

// binding is the letter of LwM2M Transport Binding 1.2.2 §6 for it.
func (o *Options) binding() string {
	if o.stream() {
		return "T"
	}
	return "U"
}

// secure reports whether whoever is called in a phase proves who it is.
func (o *Options) secure(p phase) bool { return o.Transport != TransportTCP || p != phaseManagement }

// target returns where to dial for a coaps URI: there, or at the same host by the
// transport of the options.
func (o *Options) target(u *url.URL, p phase) string {
	const plainPort, securePort = 5683, 5684
	at := func(scheme string, port int) string {
		if o.StreamPort != 0 {
			port = o.StreamPort
		}
		return scheme + "://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(port))
	}
	switch {
	case o.Transport == TransportTLS:
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			port = securePort
		}
		return at("coaps+tcp", port)
	case !o.secure(p):
		return at("coap+tcp", plainPort)
	default:
		return u.String()
	}
}
