package transport_test

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"steward/lwm2m/dtls"
)

// nat stands between one client and a server, and has the client's address
// towards the server, which it can change.
type nat struct {
	tb     testing.TB
	front  *net.UDPConn
	server netip.AddrPort

	mu     sync.Mutex
	back   *net.UDPConn
	client netip.AddrPort
	filter func(toServer bool, datagram []byte) bool // whether it passes; nil: all
}

func newNAT(tb testing.TB, server netip.AddrPort) *nat {
	tb.Helper()
	n := &nat{tb: tb, server: server, front: listenUDP(tb)}
	n.rebind()
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 65536)
		for {
			k, from, err := n.front.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.client = from
			back, passes := n.back, n.filter == nil || n.filter(true, b[:k])
			n.mu.Unlock()
			if passes {
				_, _ = back.WriteToUDPAddrPort(b[:k], n.server)
			}
		}
	})
	tb.Cleanup(func() { n.front.Close(); wg.Wait() })
	return n
}

func listenUDP(tb testing.TB) *net.UDPConn {
	tb.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// ports counts those that freeUDP has tried.
var ports atomic.Int64

// freeUDP returns an address for a socket that is opened later, or again, another at each call:
// outside the range from which the system takes ports, so that nobody else is given it meanwhile.
func freeUDP(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		port := 10000 + (97*int64(os.Getpid())+ports.Add(1))%20000
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
		if err != nil {
			continue
		}
		addr := c.LocalAddr().String()
		c.Close()
		return addr
	}
	tb.Fatal("no port is free")
	return ""
}

// rebind gives the client a new address towards the server.
func (n *nat) rebind() {
	back := listenUDP(n.tb)
	n.mu.Lock()
	old := n.back
	n.back = back
	n.mu.Unlock()
	if old != nil {
		old.Close()
	}
	go func() { // ends with back
		b := make([]byte, 65536)
		for {
			k, _, err := back.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			client, passes := n.client, n.filter == nil || n.filter(false, b[:k])
			n.mu.Unlock()
			if passes && client.IsValid() {
				_, _ = n.front.WriteToUDPAddrPort(b[:k], client)
			}
		}
	}()
}

func (n *nat) setFilter(f func(toServer bool, datagram []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = f
}

// outside is the client's address as the server sees it.
func (n *nat) outside() netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, _ := n.back.LocalAddr().(*net.UDPAddr)
	return a.AddrPort()
}

// inject sends a datagram to the server from the client's address.
func (n *nat) inject(datagram []byte) {
	n.mu.Lock()
	back := n.back
	n.mu.Unlock()
	_, _ = back.WriteToUDPAddrPort(datagram, n.server)
}

func (n *nat) uri() string { return "coaps://" + n.front.LocalAddr().String() }

// capture returns a filter that hands out the next datagram to the server and
// lets it pass or not.
func capture(passes bool) (filter func(bool, []byte) bool, captured chan []byte) {
	captured = make(chan []byte, 1)
	done := false
	return func(toServer bool, d []byte) bool {
		if !toServer || done {
			return true
		}
		done = true
		captured <- append([]byte(nil), d...)
		return passes
	}, captured
}

// untilHello returns a filter that nothing passes before a handshake begins.
func untilHello() func(bool, []byte) bool {
	begun := false
	return func(toServer bool, d []byte) bool {
		begun = begun || toServer && dtls.ContentType(d[0]) == dtls.Handshake
		return begun
	}
}

// begin begins a handshake from the client's address and leaves it half open. It
// returns the hello with its cookie.
func (n *nat) begin(hello []byte) []byte {
	n.tb.Helper()
	request := make(chan []byte, 1)
	n.setFilter(func(toServer bool, d []byte) bool {
		const typeAt, verifyRequest = 13, 3
		if !toServer && d[0] == byte(dtls.Handshake) && d[typeAt] == verifyRequest {
			select {
			case request <- append([]byte(nil), d...):
			default:
			}
		}
		return true
	})
	n.inject(hello)
	proved := withCookie(hello, <-request)
	n.inject(proved)
	n.setFilter(nil)
	return proved
}
