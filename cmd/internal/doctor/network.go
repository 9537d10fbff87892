package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"steward/lwm2m/dtls"
)

// listeners looks at the ports: bound by the provider that runs, free for one that does
// not.
func (e *examination) listeners() {
	c := e.Config
	for _, l := range []struct{ name, network, addr string }{
		{"http", "tcp", c.HTTP},
		{"coaps", "udp", c.CoAPS},
		{"coap", "udp", c.CoAP},
		{"coaps-tcp", "tcp", c.CoAPSTCP},
		{"coap-tcp", "tcp", c.CoAPTCP},
		{"peer", "tcp", c.Peer},
		{"pki", "tcp", c.PKI},
		{"est-https", "tcp", c.ESTHTTPS},
		{"updates", "tcp", c.Updates},
	} {
		if _, port, err := net.SplitHostPort(l.addr); err != nil || port == "0" {
			continue
		}
		if l.name == "peer" && !c.HandOver { // not served then
			continue
		}
		e.listener(l.name, l.network, l.addr)
	}
}

func (e *examination) listener(name, network, addr string) {
	check := "port of " + name
	free, err := e.bindable(network, addr)
	switch {
	case !e.running && err == nil && free:
		e.ok(check, "%s/%s is free", addr, network)
	case !e.running:
		e.add(check, Error, "end what has it (ss -lnp), or choose another by --"+name, "%s/%s: %v", addr, network, err)
	case free:
		e.add(check, Error, "the provider was started with other settings: give --config or the same flags",
			"nobody listens on %s/%s", addr, network)
	default:
		e.ok(check, "%s/%s is in use, as it should be", addr, network)
	}
}

// bindable reports whether nobody has a port.
func (e *examination) bindable(network, addr string) (bool, error) {
	var lc net.ListenConfig
	if network == "udp" {
		c, err := lc.ListenPacket(e.ctx, network, addr)
		if err != nil {
			return false, err
		}
		return true, c.Close()
	}
	l, err := lc.Listen(e.ctx, network, addr)
	if err != nil {
		return false, err
	}
	return true, l.Close()
}

// reach looks at what others see of a provider that runs, and at its partners.
func (e *examination) reach() {
	if e.running {
		e.dashboard()
		e.devices()
	}
	e.partners()
}

func (e *examination) dashboard() {
	const check = "dashboard"
	host, _, err := net.SplitHostPort(e.Config.HTTP)
	if err != nil {
		return
	}
	target := url.URL{Scheme: "https", Host: e.Config.HTTP, Path: "/readyz"}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		target.Scheme = "http"
	}
	client := &http.Client{Timeout: e.Patience, Transport: &http.Transport{
		// The question is whether it answers; browsers judge the certificate.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, //nolint:gosec // G402
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return
	}
	res, err := client.Do(req)
	if err != nil {
		e.add(check, Error, "look at the provider's log; is another --http given?", "%s: %v", target.String(), err)
		return
	}
	_ = res.Body.Close() // its status is the answer
	if res.StatusCode != http.StatusOK {
		e.add(check, Error, "look at the provider's log", "%s answers %s", target.String(), res.Status)
		return
	}
	e.ok(check, "%s answers", target.String())
}

// errSeen ends a handshake once the server has shown its certificate.
var errSeen = errors.New("seen")

// devices leads a handshake with the address that devices are told, as far as the
// server's proof of its key.
func (e *examination) devices() {
	const check = "address for devices"
	const remedy = "check --host, --public-coaps, the firewall and the port forwarding for UDP"
	addr := e.Config.PublicCoAPS
	if addr == "" {
		_, port, err := net.SplitHostPort(e.Config.CoAPS)
		if err != nil || port == "0" {
			return
		}
		addr = net.JoinHostPort(e.Config.Host, port)
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.Patience)
	defer cancel()
	leaf, err := serverOf(ctx, addr)
	if err != nil {
		e.add(check, Error, remedy, "no handshake with coaps://%s: %v", addr, err)
		return
	}
	own, err := readCertificate(e.file("pki", "server.pem"))
	if err != nil || !own.Equal(leaf) {
		e.add(check, Error, remedy, "coaps://%s is somebody else: %s", addr, leaf.Subject)
		return
	}
	e.ok(check, "coaps://%s shows our certificate", addr)
}

// serverOf returns the certificate that a DTLS server shows.
func serverOf(ctx context.Context, addr string) (leaf *x509.Certificate, err error) {
	remote, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	socket, err := lc.ListenPacket(ctx, "udp", ":0")
	if err != nil {
		return nil, err
	}
	client, err := dtls.Dial(ctx, socket, remote, dtls.ClientOptions{Verify: func(chain [][]byte) error {
		if len(chain) == 0 {
			return errors.New("no certificate")
		}
		c, err := x509.ParseCertificate(chain[0])
		if err != nil {
			return err
		}
		leaf = c
		return errSeen
	}}, 0)
	if err == nil {
		err = client.Close()
	}
	if leaf != nil {
		return leaf, nil
	}
	return nil, err
}
