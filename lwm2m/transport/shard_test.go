package transport_test

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// TestShards serves devices by several sockets, and goes on with each whichever
// socket its datagrams come to.
func TestShards(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.Sockets = 4 })
	e := newEngine(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			n := newNAT(t, s.Addr())
			conn := dial(t, e, n.uri(), dtls.ClientOptions{PSKIdentity: []byte("sensor"), PSK: creds.psk["sensor"], CID: true})
			for range 8 { // a new address each time, and so another socket most of the time
				if got := do(t, e, conn, coap.POST, fmt.Sprint(i)); got != fmt.Sprint(i) {
					t.Errorf("POST = %q", got)
				}
				n.rebind()
			}
		})
	}
	wg.Wait()
	st := s.Stats()
	if st.Sockets != 4 || st.Associations != 12 || st.Rebound < 12*6 || len(st.Drops) > 0 {
		t.Errorf("Stats = %+v", st)
	}
	used := 0
	for _, n := range transport.DatagramsIn(s.Listener) {
		if n > 0 {
			used++
		}
	}
	if used < 2 {
		t.Errorf("only %d of 4 sockets were used", used)
	}
	if st.ReceiveBuffer <= 0 || st.SendBuffer <= 0 {
		t.Errorf("buffers of %d and %d bytes", st.ReceiveBuffer, st.SendBuffer)
	}
}

// TestBothFamilies: devices of IPv4 and IPv6 talk to one listener, over several
// sockets.
func TestBothFamilies(t *testing.T) {
	probe, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	probe.Close()
	creds := newCredentials(t)
	for name, c := range map[string]dtls.Credentials{"coaps": creds, "coap": nil} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c, func(o *transport.ListenOptions) { o.Addr, o.Sockets = ":0", 2 })
			e := newEngine(t)
			for _, host := range []string{"127.0.0.1", "[::1]"} {
				conn := dial(t, e, fmt.Sprintf("%s://%s:%d", name, host, s.Addr().Port()), creds.client(t, "sensor"))
				if got := do(t, e, conn, coap.POST, host); got != host {
					t.Errorf("POST = %q, want %q", got, host)
				}
				if s.peer().Addr() != conn.LocalAddr() {
					t.Errorf("address %s, want %s", s.peer().Addr(), conn.LocalAddr())
				}
				if got := do(t, s.engine, s.peer(), coap.GET, ""); got != "device" {
					t.Errorf("GET at the device = %q", got)
				}
			}
		})
	}
}

// TestAddressTaken: what several sockets of one listener share is refused to
// another.
func TestAddressTaken(t *testing.T) {
	s := newSite(t, newCredentials(t), func(o *transport.ListenOptions) { o.Sockets = 4 })
	if _, err := transport.Listen(transport.ListenOptions{Addr: s.Addr().String(), Engine: s.engine}); err == nil {
		t.Error("Listen on a bound address succeeded")
	}
}

// TestLatency: with time stamps of the kernel, the listener tells how long its
// answers took.
func TestLatency(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.Stamps = true })
	e := newEngine(t)
	conn := dial(t, e, s.uri(), creds.client(t, "sensor"))
	before := s.Stats().Latency
	for range 20 {
		do(t, e, conn, coap.POST, "hello")
	}
	// On a slow machine the device asks again, and is answered again.
	eventually(t, "20 answers", func() bool { return s.Stats().Latency.Since(before).Count() >= 20 })
	l := s.Stats().Latency.Since(before)
	if p50, p99 := l.Quantile(0.5), l.Quantile(0.99); p50 <= 0 || p50 > p99 || p99 > 10*time.Second {
		t.Errorf("p50 %s, p99 %s", p50, p99)
	}
	if newSite(t, creds, nil).Stats().Latency != nil {
		t.Error("latency without stamps")
	}
}

func TestLatencyQuantiles(t *testing.T) {
	var h transport.GrowingLatency
	for n := range 100_000 {
		h.Observe(time.Duration(n) * time.Microsecond)
	}
	l := h.Snapshot()
	for q, want := range map[float64]time.Duration{
		0: time.Microsecond, 0.0001: 11 * time.Microsecond, 0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond,
		1: 100 * time.Millisecond,
	} {
		if got := l.Quantile(q); got < want || got > want+want/15 {
			t.Errorf("Quantile(%v) = %s, want %s", q, got, want)
		}
	}
	if l.Since(l).Count() != 0 || l.Since(l).Quantile(0.5) != 0 {
		t.Error("something since itself")
	}
	h.Observe(1 << 62)
	h.Observe(-1)
	if n := h.Snapshot().Since(l).Count(); n != 2 {
		t.Errorf("%d durations beyond the scale", n)
	}
}

// TestManyAssociations lets thousands of associations speak at once, from other
// addresses than before, while others come, end and expire.
func TestManyAssociations(t *testing.T) {
	const devices = 3000
	s := newSite(t, newCredentials(t), func(o *transport.ListenOptions) { o.Sockets = 2 })
	speakers := transport.FillSpeakers(t, s.Listener, devices)
	sockets := []*net.UDPConn{listenUDP(t), listenUDP(t), listenUDP(t), listenUDP(t)}
	var wg sync.WaitGroup
	speak := func() {
		for k, c := range sockets {
			wg.Go(func() {
				for i := k; i < devices; i += len(sockets) {
					for id := range uint16(3) {
						_, _ = c.WriteToUDPAddrPort(speakers[i].Ping(t, id), s.Addr())
					}
					if i%16 == 0 {
						time.Sleep(time.Millisecond) // spare the socket's buffer
					}
				}
			})
		}
	}
	speak()
	wg.Go(func() {
		for range 3 {
			transport.Fill(t, s.Listener, 500)
			transport.Sweep(s.Listener)
		}
	})
	wg.Wait()
	eventually(t, "all have spoken", func() bool {
		if s.Stats().Rebound >= devices*9/10 {
			return true
		}
		speak() // the buffer may have been too small for a slow machine
		wg.Wait()
		return false
	})
	n := s.Drop(func(id coap.Identity) bool { return id.Role == coap.RoleOperational })
	if left := s.Stats().Associations; left != 0 || n < devices {
		t.Errorf("Drop = %d, %d are left", n, left)
	}
}

// FuzzCID: a record with any identifier reaches the association whose identifier
// it is, and no other.
func FuzzCID(f *testing.F) {
	creds := newCredentials(f)
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Credentials: creds, Engine: newEngine(f)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	known := map[[dtls.CIDLength]byte]bool{}
	for _, s := range transport.FillSpeakers(f, l, 100) {
		known[s.CID] = true
		f.Add(s.CID[:])
	}
	f.Add(make([]byte, dtls.CIDLength))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	from := netip.MustParseAddrPort("127.0.0.1:9")
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) != dtls.CIDLength {
			return
		}
		record := append(append([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1}, in...), 0, 30)
		before := l.Stats().Drops
		transport.Inject(l, append(record, make([]byte, 30)...), from)
		after := l.Stats().Drops
		want := transport.DropUnknownCID
		if known[[dtls.CIDLength]byte(in)] {
			want = transport.DropForged
		}
		if after[want] != before[want]+1 {
			t.Errorf("%x: drops %v, then %v, want one more %s", in, before, after, want)
		}
	})
}
