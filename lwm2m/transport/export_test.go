package transport

import (
	"context"
	"net/netip"
)

// Inject hands l a datagram as if its socket had received it.
func Inject(ctx context.Context, l *Listener, datagram []byte, from netip.AddrPort) {
	l.receive(ctx, datagram, from)
}

// ParseURI shows what a URI is taken for.
func ParseURI(uri string) (host string, port uint16, secure bool, err error) {
	t, err := parseURI(uri)
	return t.host, t.port, t.secure, err
}
