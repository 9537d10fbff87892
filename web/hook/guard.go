package hook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ErrAddress reports an address that nobody outside may have us call.
var ErrAddress = errors.New("hook: the address is not a public one")

// special are networks that are no public hosts, or lead to such that are not (IANA
// Special-Purpose Address Registries; RFC 6890).
var special = []netip.Prefix{ //nolint:gochecknoglobals // a constant
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),          // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),   // NAT64: an IPv4 address behind it
	netip.MustParsePrefix("64:ff9b:1::/48"), // the same, local
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address behind it
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// A Guard decides which addresses may be called. Its zero value allows public ones.
type Guard struct {
	Allow []netip.Prefix // others that may be called all the same
}

// Check returns ErrAddress for an address that is not public: of this host, of private
// and link-local networks, those of clouds' metadata among them, and such that stand
// for another address.
func (g Guard) Check(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case slices.ContainsFunc(g.Allow, in):
		return nil
	case !a.IsValid(), !a.IsGlobalUnicast(), a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast(),
		slices.ContainsFunc(special, in):
		return fmt.Errorf("%w: %s", ErrAddress, a)
	default:
		return nil
	}
}

// control checks the very address that is connected to, after all names are resolved.
func (g Guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrAddress, address)
	}
	return g.Check(ap.Addr())
}

// Limits of one attempt.
const (
	dialTimeout = 5 * time.Second
	timeout     = 15 * time.Second
	maxHeaders  = 16 << 10
)

// Client returns an HTTP client that calls what the guard allows, directly, and follows
// no redirection.
func (g Guard) Client() *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: g.control}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: timeout,
			MaxResponseHeaderBytes: maxHeaders, MaxIdleConns: MaxHooks, MaxConnsPerHost: 2, IdleConnTimeout: time.Minute,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
