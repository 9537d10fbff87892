package e2e_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// A weather says what happens to a datagram: it is lost, comes twice, or is late
// and overtaken by others, each with a chance of its own.
type weather struct {
	lost, twice, late float64
	delay             time.Duration // of a late one at most
}

// A network is what lies between devices and a provider: it translates addresses,
// as a router at home does, and has weather.
type network struct {
	host  string // of front
	front *net.UDPConn
	all   sync.WaitGroup

	mu      sync.Mutex
	server  netip.AddrPort
	weather weather
	chance  *rand.Rand
	backs   map[netip.AddrPort]*net.UDPConn // by the device's address
	opened  []*net.UDPConn                  // all that there ever were
	old     []sent                          // what devices have sent
	closed  bool
}

// A sent datagram, and the address that it came from.
type sent struct {
	back     *net.UDPConn
	datagram []byte
}

// maxOld is how many datagrams of devices a network remembers.
const maxOld = 4000

func newNetwork(t *testing.T, seed uint64) *network {
	t.Helper()
	host, err := freeHost()
	if err != nil {
		t.Fatal(err)
	}
	n := &network{host: host, chance: rand.New(rand.NewPCG(seed, seed)), backs: map[netip.AddrPort]*net.UDPConn{}}
	if n.front, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(host)}); err != nil {
		t.Fatal(err)
	}
	n.all.Go(n.up)
	t.Cleanup(func() {
		n.front.Close()
		n.mu.Lock()
		n.closed = true
		for _, b := range n.opened {
			b.Close()
		}
		n.mu.Unlock()
		n.all.Wait()
	})
	return n
}

// addr is the provider's, as devices see it.
func (n *network) addr() string { return n.front.LocalAddr().String() }

// lead says where the provider is.
func (n *network) lead(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = netip.MustParseAddrPort(addr)
}

func (n *network) set(w weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather = w
}

// rebind forgets the addresses of all devices: the next datagram of each comes from
// another. What the provider sends to the old ones is lost.
func (n *network) rebind() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.backs)
}

// replay sends again what devices have sent, from the addresses that they had, and
// returns how much that was.
func (n *network) replay() int {
	n.mu.Lock()
	old, server := n.old, n.server
	n.mu.Unlock()
	for _, o := range old {
		_, _ = o.back.WriteToUDPAddrPort(o.datagram, server)
	}
	return len(old)
}

// back returns the address of a device, a new one if it has none. The caller holds
// mu.
func (n *network) back(from netip.AddrPort) *net.UDPConn {
	if b := n.backs[from]; b != nil || n.closed {
		return b
	}
	b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil // the datagram is lost
	}
	n.backs[from], n.opened = b, append(n.opened, b)
	n.all.Go(func() { n.down(b, from) })
	return b
}

// up takes what devices send.
func (n *network) up() {
	buffer := make([]byte, 65536)
	for {
		k, from, err := n.front.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		d := bytes.Clone(buffer[:k])
		n.pass(func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			b := n.back(from)
			if b == nil {
				return
			}
			if n.old = append(n.old, sent{b, d}); len(n.old) > maxOld {
				n.old = n.old[1:]
			}
			_, _ = b.WriteToUDPAddrPort(d, n.server)
		})
	}
}

// down takes what the provider sends to an address of a device.
func (n *network) down(b *net.UDPConn, to netip.AddrPort) {
	buffer := make([]byte, 65536)
	for {
		k, _, err := b.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		n.mu.Lock()
		known := n.backs[to] == b
		n.mu.Unlock()
		if d := bytes.Clone(buffer[:k]); known {
			n.pass(func() { _, _ = n.front.WriteToUDPAddrPort(d, to) })
		}
	}
}

// pass calls deliver as the weather is.
func (n *network) pass(deliver func()) {
	n.mu.Lock()
	w := n.weather
	lost, copies := n.chance.Float64() < w.lost, 1
	if n.chance.Float64() < w.twice {
		copies = 2
	}
	var delays [2]time.Duration
	for i := range delays {
		if n.chance.Float64() < w.late {
			delays[i] = time.Duration(n.chance.Int64N(int64(w.delay)))
		}
	}
	n.mu.Unlock()
	if lost {
		return
	}
	for _, d := range delays[:copies] {
		if d == 0 {
			deliver()
			continue
		}
		time.AfterFunc(d, deliver)
	}
}
