package transport_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// A ledger counts how often each request is executed.
type ledger struct {
	mu       sync.Mutex
	executed map[string]int
}

// serve is a handler that must run once for each request: it is not idempotent.
func (l *ledger) serve(_ context.Context, r *coap.Request) *coap.Response {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.executed[string(r.Payload)]++
	return &coap.Response{Code: coap.Changed, Payload: r.Payload}
}

// newLedger starts a listener with a ledger.
func newLedger(t *testing.T, creds *credentials) (*transport.Listener, *ledger) {
	t.Helper()
	l := &ledger{executed: map[string]int{}}
	e := coap.New(coap.Options{Handler: coap.HandlerFunc(l.serve), Params: stubborn})
	listener, err := transport.Listen(transport.ListenOptions{
		Addr: "127.0.0.1:0", Credentials: creds, Engine: e, FlightInterval: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, e.Run)
	run(t, listener.Run)
	return listener, l
}

// stubborn are CoAP parameters that get through bad weather.
var stubborn = coap.Params{AckTimeout: 60 * time.Millisecond, MaxRetransmit: 7}

// A foreigner is a client of others: pion as it comes, without connection
// identifiers. It implements coap.Peer.
type foreigner struct{ conn *pion.Conn }

func (f foreigner) Send(b []byte) error {
	_, err := f.conn.Write(b)
	return err
}

func (f foreigner) Identity() coap.Identity { return coap.Identity{Role: coap.RoleServer} }
func (f foreigner) Addr() netip.AddrPort    { return netip.AddrPort{} }
func (f foreigner) String() string          { return "pion" }

// dialPion leads a handshake and feeds the engine.
func dialPion(t *testing.T, e *coap.Engine, addr net.Addr, creds *credentials, name string) coap.Peer {
	t.Helper()
	socket := listenUDP(t)
	conn, err := pion.ClientWithOptions(socket, addr, pion.WithCertificates(*creds.authority.issue(t, name)),
		pion.WithRootCAs(creds.authority.pool), pion.WithServerName("127.0.0.1"),
		pion.WithFlightInterval(100*time.Millisecond), pion.WithExtendedMasterSecret(pion.RequireExtendedMasterSecret))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatalf("pion's handshake = %v", err)
	}
	f := foreigner{conn}
	var reading sync.WaitGroup
	reading.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			e.Receive(f, b[:n])
		}
	})
	t.Cleanup(func() {
		conn.Close()
		reading.Wait()
	})
	return f
}

// TestBadWeather: whatever a network does to datagrams, handshakes complete, every
// request is answered with its own answer and executed once, and devices with a
// connection identifier keep their association under changing addresses.
func TestBadWeather(t *testing.T) {
	const devices, requests = 12, 15
	storm := weather{lost: 0.1, twice: 0.15, late: 0.3, delay: 40 * time.Millisecond}
	for _, cid := range []bool{true, false} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("cid %t, seed %d", cid, seed), func(t *testing.T) {
				t.Parallel()
				creds := newCredentials(t)
				listener, book := newLedger(t, creds)
				e := coap.New(coap.Options{Params: stubborn})
				run(t, e.Run)
				var all sync.WaitGroup
				for i := range devices {
					s := newSky(t, listener.Addr(), seed<<8|uint64(i))
					w := storm
					s.set(w)
					name := "sensor-" + strconv.Itoa(i)
					var peer coap.Peer
					if cid {
						peer = dial(t, e, s.uri(), creds.client(t, name))
						w.rebind = 0.1
						s.set(w)
					} else {
						peer = dialPion(t, e, s.front.LocalAddr(), creds, name)
					}
					all.Go(func() { talkThrough(t, e, peer, name, requests) })
				}
				all.Wait()
				book.mu.Lock()
				defer book.mu.Unlock()
				for request, n := range book.executed {
					if n != 1 {
						t.Errorf("%s was executed %d times", request, n)
					}
				}
				if n := len(book.executed); n != devices*requests {
					t.Errorf("%d requests were executed, want %d", n, devices*requests)
				}
				st := listener.Stats()
				if st.Associations != devices || st.Handshakes != devices || cid != (st.Rebound > 0) {
					t.Errorf("Stats = %+v, want %d associations by as many handshakes", st, devices)
				}
				t.Logf("%d datagrams in, %d address changes followed, drops %v", st.DatagramsIn, st.Rebound, st.Drops)
			})
		}
	}
}

// talkThrough sends requests one after the other. The weather may lose one that is
// sent eight times, so it is not t's end.
func talkThrough(t *testing.T, e *coap.Engine, peer coap.Peer, name string, requests int) {
	t.Helper()
	for k := range requests {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		payload := fmt.Sprintf("%s, request %d", name, k)
		r, err := e.Do(ctx, peer, &coap.Request{Method: coap.POST, Path: []string{"x"}, Payload: []byte(payload)})
		cancel()
		if err != nil || string(r.Payload) != payload {
			t.Errorf("%s: %v, %v", payload, r, err)
			return
		}
	}
}

// TestOldAddress: neither a duplicate from an address that the device had before,
// nor a record that was held back there, moves the association back; and the
// server's own requests find the device at its new one.
func TestOldAddress(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	e := newEngine(t)
	way := newSky(t, s.Addr(), 1)
	conn := dial(t, e, way.uri(), creds.client(t, "sensor"))
	do(t, e, conn, coap.GET, "")
	duplicate, _ := way.last()

	way.set(weather{lost: 1})
	if err := conn.Send([]byte{0x50, 0x01, 0x77, 0x77}); err != nil { // a NON GET
		t.Fatal(err)
	}
	var held []byte
	eventually(t, "the request held back", func() bool {
		_, held = way.last()
		return held != nil
	})
	way.set(weather{})
	way.move()
	for range 3 {
		do(t, e, conn, coap.GET, "")
	}
	peer := s.peer()
	home := way.outside(0)
	if peer.Addr() != home {
		t.Fatalf("peer is at %s, want %s", peer.Addr(), home)
	}
	before := s.Stats()
	way.inject(1, duplicate)
	eventually(t, "the duplicate refused", func() bool {
		return s.Stats().Drops[transport.DropReplay] == before.Drops[transport.DropReplay]+1
	})
	served := s.served.Load()
	way.inject(1, held)
	eventually(t, "the held back request served", func() bool { return s.served.Load() == served+1 })
	if peer.Addr() != home {
		t.Errorf("old records moved the peer to %s", peer.Addr())
	}
	if got := do(t, s.engine, peer, coap.GET, ""); got != "device" {
		t.Errorf("GET at the device = %q", got)
	}
	if st := s.Stats(); st.Rebound != 1 || st.Associations != 1 {
		t.Errorf("Stats = %+v", st)
	}
}

// TestSequenceJump: after a stop the server's numbers go on where they were; after
// a kill they jump above all that can have been used, and what devices sent before
// is below the window.
func TestSequenceJump(t *testing.T) {
	x := newLives(t, newCredentials(t))
	e := newPatientEngine(t) // what is asked again would be answered again
	r := x.record(e, "sensor", true)
	last := func() uint64 {
		t.Helper()
		r.mu.Lock()
		defer r.mu.Unlock()
		var top uint64
		for _, d := range r.toPeer {
			for rest := d; len(rest) > 0; {
				record, next, err := dtls.ParseRecord(rest)
				if err != nil {
					t.Fatal(err)
				}
				if rest = next; record.Epoch == 1 {
					top = max(top, record.Sequence)
				}
			}
		}
		return top
	}
	for range 3 {
		do(t, e, r.conn, coap.GET, "")
	}
	used := last()
	x.stop()
	x.begin()
	do(t, e, r.conn, coap.GET, "")
	if got := last(); got != used+1 {
		t.Errorf("after a stop the record has number %d, want %d", got, used+1)
	}
	used = last()
	captured := r.captured(1)[0]
	x.kill()
	x.begin()
	do(t, e, r.conn, coap.GET, "")
	const least = 64 // a reservation is much larger
	if got := last(); got < used+least {
		t.Errorf("after a kill the record has number %d, want one far above %d", got, used)
	}
	served := x.served.Load()
	r.inject(captured)
	eventually(t, "the captured record refused", func() bool { return x.Stats().Drops[transport.DropReplay] == 1 })
	if x.served.Load() != served {
		t.Error("a request of before the kill was served again")
	}
	r.wantUnique(t)
}
