package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// clientSocket is a connected UDP socket as the handshake engine and a plain
// connection use it. Connected, it hears nobody but the server, and learns by
// ICMP that nobody listens there: during a handshake that ends the attempt at
// once; later it counts as a lost datagram, since servers come back.
type clientSocket struct {
	*net.UDPConn
	tap         func(sent bool, bytes int)
	lost        func(sent bool) bool
	established atomic.Bool
}

func dialSocket(local, remote netip.AddrPort, tap func(sent bool, bytes int), lost func(sent bool) bool) (
	*clientSocket, error,
) {
	var from *net.UDPAddr
	if local.IsValid() {
		from = net.UDPAddrFromAddrPort(local)
	}
	c, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	if tap == nil {
		tap = func(bool, int) {}
	}
	if lost == nil {
		lost = func(bool) bool { return false }
	}
	return &clientSocket{UDPConn: c, tap: tap, lost: lost}, nil
}

// Read implements io.Reader for a plain connection.
func (s *clientSocket) Read(b []byte) (int, error) {
	for {
		n, err := s.UDPConn.Read(b)
		if errors.Is(err, syscall.ECONNREFUSED) || err == nil && s.lost(false) {
			continue
		}
		if err == nil {
			s.tap(false, n)
		}
		return n, err
	}
}

// Write implements io.Writer for a plain connection.
func (s *clientSocket) Write(b []byte) (int, error) {
	if s.lost(true) {
		s.tap(true, len(b))
		return len(b), nil
	}
	n, err := s.UDPConn.Write(b)
	if errors.Is(err, syscall.ECONNREFUSED) { // of an earlier datagram
		n, err = s.UDPConn.Write(b)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return len(b), nil
	}
	if err == nil {
		s.tap(true, n)
	}
	return n, err
}

// ReadFrom implements net.PacketConn.
func (s *clientSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, err := s.UDPConn.Read(b)
		if errors.Is(err, syscall.ECONNREFUSED) && s.established.Load() || err == nil && s.lost(false) {
			continue
		}
		if err == nil {
			s.tap(false, n)
		}
		return n, s.RemoteAddr(), err
	}
}

// WriteTo implements net.PacketConn; the address is the connected one.
func (s *clientSocket) WriteTo(b []byte, _ net.Addr) (int, error) {
	if s.established.Load() {
		return s.Write(b)
	}
	if s.lost(true) {
		s.tap(true, len(b))
		return len(b), nil
	}
	n, err := s.UDPConn.Write(b)
	if err == nil {
		s.tap(true, n)
	}
	return n, err
}
