package transport_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// A weather says what happens to datagrams: each is lost, comes twice, or is late
// with a chance of its own. Late ones are overtaken by others.
type weather struct {
	lost, twice, late float64
	delay             time.Duration // of a late one at most
	rebind            float64       // chance that the next datagram leaves from another address
}

// A sky stands between one client and a server and has weather. Unlike a nat it
// keeps the addresses that the client had before, so that old datagrams can come
// from them.
type sky struct {
	tb     testing.TB
	server netip.AddrPort
	front  *net.UDPConn
	all    sync.WaitGroup

	mu       sync.Mutex
	weather  weather
	chance   *rand.Rand
	client   netip.AddrPort
	backs    []*net.UDPConn // the last is in use
	toServer [][]byte       // what passed
	held     [][]byte       // what was lost on its way to the server
	closed   bool
}

// newSky begins with good weather.
func newSky(tb testing.TB, server netip.AddrPort, seed uint64) *sky {
	tb.Helper()
	s := &sky{tb: tb, server: server, front: listenUDP(tb), chance: rand.New(rand.NewPCG(seed, seed))}
	s.move()
	s.all.Go(s.up)
	tb.Cleanup(s.close)
	return s
}

func (s *sky) close() {
	s.mu.Lock()
	s.closed = true
	backs := s.backs
	s.mu.Unlock()
	s.front.Close()
	for _, b := range backs {
		b.Close()
	}
	s.all.Wait()
}

func (s *sky) uri() string { return "coaps://" + s.front.LocalAddr().String() }

func (s *sky) set(w weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weather = w
}

// move gives the client another address towards the server.
func (s *sky) move() {
	back := listenUDP(s.tb)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moveTo(back)
}

// moveTo is move by the caller who holds mu.
func (s *sky) moveTo(back *net.UDPConn) {
	if s.closed {
		back.Close()
		return
	}
	s.backs = append(s.backs, back)
	s.all.Go(func() { s.down(back) })
}

// up takes what the client sends.
func (s *sky) up() {
	b := make([]byte, 65536)
	for {
		n, from, err := s.front.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		d := bytes.Clone(b[:n])
		s.mu.Lock()
		s.client = from
		moves := s.chance.Float64() < s.weather.rebind
		s.mu.Unlock()
		if moves {
			if back, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err == nil {
				s.mu.Lock()
				s.moveTo(back)
				s.mu.Unlock()
			}
		}
		s.pass(func() {
			s.mu.Lock()
			s.held = append(s.held, d)
			s.mu.Unlock()
		}, func() {
			s.mu.Lock()
			back := s.backs[len(s.backs)-1]
			s.toServer = append(s.toServer, d)
			s.mu.Unlock()
			_, _ = back.WriteToUDPAddrPort(d, s.server)
		})
	}
}

// down takes what the server sends to one of the client's addresses.
func (s *sky) down(back *net.UDPConn) {
	b := make([]byte, 65536)
	for {
		n, _, err := back.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		d := bytes.Clone(b[:n])
		s.mu.Lock()
		client := s.client
		s.mu.Unlock()
		s.pass(func() {}, func() { _, _ = s.front.WriteToUDPAddrPort(d, client) })
	}
}

// pass calls lose or deliver as the weather is.
func (s *sky) pass(lose, deliver func()) {
	s.mu.Lock()
	w := s.weather
	lost, copies := s.chance.Float64() < w.lost, 1
	if s.chance.Float64() < w.twice {
		copies = 2
	}
	var delays [2]time.Duration
	for i := range delays {
		if s.chance.Float64() < w.late {
			delays[i] = time.Duration(s.chance.Int64N(int64(w.delay)))
		}
	}
	s.mu.Unlock()
	if lost {
		lose()
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

// outside is the client's k-th address as the server sees it, from the last back.
func (s *sky) outside(k int) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, _ := s.backs[len(s.backs)-1-k].LocalAddr().(*net.UDPAddr)
	return a.AddrPort()
}

// inject sends a datagram to the server from the client's k-th address.
func (s *sky) inject(k int, datagram []byte) {
	s.mu.Lock()
	back := s.backs[len(s.backs)-1-k]
	s.mu.Unlock()
	_, _ = back.WriteToUDPAddrPort(datagram, s.server)
}

// last returns the last datagrams that reached the server and that were lost on
// their way to it; nil: none.
func (s *sky) last() (passed, held []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.toServer); n > 0 {
		passed = s.toServer[n-1]
	}
	if n := len(s.held); n > 0 {
		held = s.held[n-1]
	}
	return passed, held
}
