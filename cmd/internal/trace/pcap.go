package trace

import (
	"encoding/binary"
	"net/netip"
)

// What files say of themselves: the format of libpcap with microseconds, packets
// that begin with their IP header (LINKTYPE_RAW).
const (
	pcapMagic   = 0xa1b2c3d4
	linkTypeRaw = 101
	maxPacket   = 1 << 16
	coapPort    = 5683 // by which tools know CoAP
	coapsPort   = 5684
	udp         = 17
	hops        = 64
)

// The addresses that stand for us: those for documentation (RFC 5737, RFC 3849).
var (
	ours4 = netip.MustParseAddr("192.0.2.1")
	ours6 = netip.MustParseAddr("2001:db8::1")
)

// PCAP returns items as a capture file. CoAP is in the clear in it; IP and UDP
// headers are made up, with the device's address and a documentation address for us.
func PCAP(items []Item) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, pcapMagic)
	b = le.AppendUint16(b, 2) //nolint:mnd // version 2.4
	b = le.AppendUint16(b, 4) //nolint:mnd // version 2.4
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, maxPacket)
	b = le.AppendUint32(b, linkTypeRaw)
	for _, i := range items {
		p := packet(i)
		if len(p) > maxPacket {
			continue
		}
		b = le.AppendUint32(b, uint32(i.At.Unix()))            //nolint:gosec // G115: until 2106
		b = le.AppendUint32(b, uint32(i.At.Nanosecond()/1000)) //nolint:gosec // G115: below a million
		b = le.AppendUint32(b, uint32(len(p)))                 //nolint:gosec // G115: bounded above
		b = le.AppendUint32(b, uint32(len(p)))                 //nolint:gosec // G115: bounded above
		b = append(b, p...)
	}
	return b
}

// packet returns an item below UDP and IP headers.
func packet(i Item) []byte {
	addr := i.Addr.Addr().Unmap().WithZone("")
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
	}
	us := ours6
	if addr.Is4() {
		us = ours4
	}
	port := i.Addr.Port()
	if port == 0 || port == coapsPort {
		port = coapPort
	}
	from, to := netip.AddrPortFrom(addr, port), netip.AddrPortFrom(us, coapPort)
	if i.Sent {
		from, to = to, from
	}
	const udpHeader = 8
	be := binary.BigEndian
	length := uint16(min(udpHeader+len(i.Datagram), maxPacket-1))
	segment := be.AppendUint16(nil, from.Port())
	segment = be.AppendUint16(segment, to.Port())
	segment = be.AppendUint16(segment, length)
	segment = append(segment, 0, 0)
	segment = append(segment, i.Datagram...)
	// The pseudo header (RFC 768, RFC 8200 §8.1) has the same sum for both versions.
	pseudo := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	pseudo = append(pseudo, 0, udp)
	pseudo = be.AppendUint16(pseudo, length)
	sum := checksum(append(pseudo, segment...))
	if sum == 0 {
		sum = 0xffff
	}
	be.PutUint16(segment[6:], sum)
	if addr.Is4() {
		return append(header4(from.Addr(), to.Addr(), len(segment)), segment...)
	}
	h := []byte{6 << 4, 0, 0, 0}
	h = be.AppendUint16(h, length)
	h = append(h, udp, hops)
	h = append(append(h, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	return append(h, segment...)
}

// header4 returns an IPv4 header (RFC 791 §3.1).
func header4(from, to netip.Addr, payload int) []byte {
	const size = 20
	be := binary.BigEndian
	h := []byte{4<<4 | size/4, 0}
	h = be.AppendUint16(h, uint16(min(size+payload, maxPacket-1))) //nolint:gosec // G115: bounded
	h = append(h, 0, 0, 1<<6, 0, hops, udp, 0, 0)
	h = append(append(h, from.AsSlice()...), to.AsSlice()...)
	be.PutUint16(h[10:], checksum(h))
	return h
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
