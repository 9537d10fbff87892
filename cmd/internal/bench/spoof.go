package bench

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

const (
	// spoofRate is how many ClientHellos leave a second at most.
	spoofRate = 25_000
	// spoofBurst is how many leave between two looks at the clock.
	spoofBurst = 4 * mailboxSize
	// helloRandom is where the random begins in the datagram: after the headers of
	// record and message, and the version (RFC 6347 §4.2.2, RFC 5246 §7.4.1.2).
	helloRandom = 13 + 12 + 2
)

// captureHello returns the first datagram of a handshake that is not continued.
func captureHello(ctx context.Context, c dtls.ClientOptions) ([]byte, error) {
	var s sieve
	_, _, err := handshake.Connect(ctx, &s, c, nil, 0)
	if s.first == nil {
		return nil, err
	}
	return s.first, nil
}

// spoof sends the hello from as many invented addresses of 127.64.0.0/10 as asked
// for. One socket does it: Linux lets a datagram name its source among the
// addresses of the machine, and all of 127.0.0.0/8 is (ip(7), IP_PKTINFO).
func (r *run) spoof(ctx context.Context, server netip.AddrPort, hello []byte) error {
	if r.o.Spoofed == 0 {
		return nil
	}
	socket, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer socket.Close() //nolint:errcheck // the answers to nobody
	widen(socket)
	box := newMailbox(socket, mailboxSize)
	box.hold() // it sends when it is full
	to := net.UDPAddrFromAddrPort(server)
	begin := time.Now()
	for sent := 0; sent < r.o.Spoofed && ctx.Err() == nil; sent++ {
		if sent%spoofBurst == 0 {
			due := begin.Add(time.Duration(sent) * time.Second / spoofRate)
			if !pause(ctx, time.Until(due)) {
				break
			}
		}
		binary.BigEndian.PutUint32(hello[helloRandom:], uint32(sent))
		source := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: invented(sent)})
		if err := box.post(hello, source, to); err != nil {
			return err
		}
		r.result.Spoofed++
	}
	if err := box.release(); err != nil {
		return err
	}
	r.result.SpoofedPerS = float64(r.result.Spoofed) / time.Since(begin).Seconds()
	return ctx.Err()
}

// invented is the i-th address of 127.64.0.0/10, networks first: each of the
// first 16,384 has a /24 of its own.
func invented(i int) [4]byte {
	const networks, hosts = 1 << 14, 250
	n, h := i%networks, i/networks%hosts
	return [4]byte{127, byte(64 + n>>8), byte(n), byte(1 + h)} //nolint:gosec // G115: in range
}
