package transport

import (
	"net"
	"net/netip"
	"strconv"
)

// An address is where a datagram comes from or goes to. Unlike netip.AddrPort it
// holds no pointer, so that rows of associations cost the collector nothing.
type address struct {
	ip   [16]byte // IPv4 as ::ffff:a.b.c.d
	zone uint16   // index of the interface of a link-local address
	port uint16
}

func addressOf(a netip.AddrPort) address {
	return address{ip: a.Addr().As16(), zone: zoneOf(a.Addr().Zone()), port: a.Port()}
}

// zoneOf returns the index of a zone, 0 for none.
func zoneOf(name string) uint16 {
	if name == "" {
		return 0
	}
	if n, err := strconv.ParseUint(name, 10, 16); err == nil {
		return uint16(n)
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0
	}
	return uint16(i.Index) //nolint:gosec // G115: the kernel's number of an interface
}

// addrPort returns a with an IPv4 address as such.
func (a address) addrPort() netip.AddrPort {
	ip := netip.AddrFrom16(a.ip).Unmap()
	if a.zone != 0 && ip.Is6() {
		ip = ip.WithZone(strconv.FormatUint(uint64(a.zone), 10))
	}
	return netip.AddrPortFrom(ip, a.port)
}
