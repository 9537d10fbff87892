package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// Schemes (RFC 7252 §6, RFC 8323 §8).
const (
	schemeUDP  = "coap"
	schemeDTLS = "coaps"
	schemeTCP  = "coap+tcp"
	schemeTLS  = "coaps+tcp"
)

// Default ports (RFC 7252 §6.1, §6.2; RFC 8323 §8.1, §8.2).
const (
	portCoAP  = 5683
	portCoAPS = 5684
)

// target is where a URI leads.
type target struct {
	scheme string
	host   string
	port   uint16
	secure bool
	stream bool
}

// parseURI reads the scheme and authority of a URI of CoAP.
func parseURI(uri string) (target, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return target{}, fmt.Errorf("%w: uri: %w", ErrOptions, err)
	}
	t := target{scheme: u.Scheme, host: u.Hostname(), port: portCoAP}
	t.secure = u.Scheme == schemeDTLS || u.Scheme == schemeTLS
	t.stream = u.Scheme == schemeTCP || u.Scheme == schemeTLS
	if t.secure {
		t.port = portCoAPS
	}
	if !t.secure && !t.stream && u.Scheme != schemeUDP {
		return target{}, fmt.Errorf("%w: scheme %q", ErrOptions, u.Scheme)
	}
	if t.host == "" {
		return target{}, fmt.Errorf("%w: no host in %q", ErrOptions, uri)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return target{}, fmt.Errorf("%w: port %q", ErrOptions, p)
		}
		t.port = uint16(n)
	}
	return t, nil
}

// resolve returns the first address of the target's host.
func (t target) resolve(ctx context.Context) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(t.host); err == nil {
		return plain(netip.AddrPortFrom(a, t.port)), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("transport: %w", err)
	}
	if len(found) == 0 {
		return netip.AddrPort{}, fmt.Errorf("transport: no address of %q", t.host)
	}
	return plain(netip.AddrPortFrom(found[0], t.port)), nil
}
