package transport

import (
	"net"
	"net/netip"
)

// localAddr is the address a socket is bound to.
func localAddr(c *net.UDPConn) netip.AddrPort {
	a, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return plain(a.AddrPort())
}

// plain writes an IPv4 address as such, also when it came in at an IPv6 socket,
// so that addresses compare.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
