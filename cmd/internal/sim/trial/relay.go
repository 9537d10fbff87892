package trial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m/transport"
)

// A relay stands between the device and one server, as a translator of addresses
// does: datagrams pass the air, and from time to time the server sees another
// address.
type relay struct {
	air    *air
	server *net.UDPAddr
	inner  *net.UDPConn
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	outer  *net.UDPConn
	device netip.AddrPort // where the device sends from
}

func newRelay(ctx context.Context, a *air, u *url.URL, every time.Duration) (*relay, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"coap": "5683", "coaps": "5684"}[u.Scheme]
	}
	server, err := net.ResolveUDPAddr("udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	r := &relay{air: a, server: server}
	if r.inner, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := r.move(); err != nil {
		r.close()
		return nil, err
	}
	r.work.Go(r.leave)
	if every > 0 {
		r.work.Go(func() {
			for wait(ctx, every) {
				_ = r.move() // without a socket the old one goes on
			}
		})
	}
	return r, nil
}

// move takes a new address.
func (r *relay) move() error {
	outer, err := net.DialUDP("udp", nil, r.server)
	if err != nil {
		return err
	}
	r.mu.Lock()
	former := r.outer
	r.outer = outer
	r.mu.Unlock()
	if former != nil {
		_ = former.Close() // its reader ends
		r.air.event(sim.Event{Kind: Readdressed, Detail: outer.LocalAddr().String()})
	}
	r.work.Go(func() { r.arrive(outer) })
	return nil
}

// leave carries what the device sends.
func (r *relay) leave() {
	buffer := make([]byte, transport.MaxDatagram)
	for {
		n, from, err := r.inner.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.device = from
		outer := r.outer
		r.mu.Unlock()
		for range r.air.out() {
			_, _ = outer.Write(buffer[:n]) // datagrams may be lost
		}
	}
}

// arrive carries what comes to one of our addresses.
func (r *relay) arrive(outer *net.UDPConn) {
	buffer := make([]byte, transport.MaxDatagram)
	for {
		n, err := outer.Read(buffer)
		if err != nil {
			if refused(err) {
				continue
			}
			return
		}
		r.mu.Lock()
		device := r.device
		r.mu.Unlock()
		if device.IsValid() && r.air.in() {
			_, _ = r.inner.WriteToUDPAddrPort(buffer[:n], device) // likewise
		}
	}
}

func (r *relay) close() {
	r.stop()
	_ = r.inner.Close()
	r.mu.Lock()
	if r.outer != nil {
		_ = r.outer.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// refused reports an error that says only that nobody listens there now.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
