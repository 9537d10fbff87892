package transport_test

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

func TestAddressFollowsCID(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	n := newNAT(t, s.Addr())
	e := newEngine(t)
	conn := dial(t, e, n.uri(), creds.client(t, "sensor"))
	do(t, e, conn, coap.GET, "")
	peer := s.peer()
	for range 3 {
		n.rebind()
		if got := do(t, e, conn, coap.GET, ""); got != "sensor" {
			t.Errorf("GET = %q", got)
		}
		if s.peer() != peer || peer.Addr() != n.outside() {
			t.Errorf("peer = %s, want the same at %s", s.peer(), n.outside())
		}
		if got := do(t, s.engine, peer, coap.GET, ""); got != "device" {
			t.Errorf("GET at the device = %q", got)
		}
	}
	if st := s.Stats(); st.Rebound != 3 || st.Associations != 1 {
		t.Errorf("Stats = %+v", st)
	}
}

// TestAddressNotHijacked sends what an attacker on the path could: a captured
// record again, one altered, and one that was held back.
func TestAddressNotHijacked(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	n := newNAT(t, s.Addr())
	e := newEngine(t)
	conn := dial(t, e, n.uri(), creds.client(t, "sensor"))
	attacker := listenUDP(t)
	send := func(d []byte) { _, _ = attacker.WriteToUDPAddrPort(d, s.Addr()) }
	atHome := func(when string) {
		t.Helper()
		if a := s.peer().Addr(); a != n.outside() {
			t.Errorf("%s: address = %s, want %s", when, a, n.outside())
		}
	}

	f, captured := capture(true)
	n.setFilter(f)
	do(t, e, conn, coap.GET, "")
	record := <-captured
	served := s.served.Load()
	send(record)
	eventually(t, "replay", func() bool { return s.Stats().Drops[transport.DropReplay] == 1 })
	altered := append([]byte(nil), record...)
	altered[10]++ // the sequence number
	send(altered)
	eventually(t, "forgery", func() bool { return s.Stats().Drops[transport.DropForged] == 1 })
	atHome("replay and forgery")
	if s.served.Load() != served {
		t.Error("a replayed or forged request was served")
	}

	f, captured = capture(false)
	n.setFilter(f)
	do(t, e, conn, coap.GET, "") // repeated by CoAP in a newer record
	in := s.Stats().DatagramsIn
	send(<-captured)
	eventually(t, "the old record", func() bool { return s.Stats().DatagramsIn > in })
	do(t, e, conn, coap.GET, "")
	atHome("an old record")
	if st := s.Stats(); st.Rebound != 0 {
		t.Errorf("address changed %d times", st.Rebound)
	}
}

// TestForgeryLimit: an association that too many forged records were sent to
// ends, and one below the limit does not.
func TestForgeryLimit(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	n := newNAT(t, s.Addr())
	e := newEngine(t)
	conn := dial(t, e, n.uri(), creds.client(t, "sensor"))
	f, captured := capture(true)
	n.setFilter(f)
	do(t, e, conn, coap.GET, "")
	altered := <-captured
	altered[10]++ // the sequence number
	transport.Forge(s.Listener, transport.MaxForged-2)
	n.inject(altered)
	eventually(t, "one forgery", func() bool { return s.Stats().Drops[transport.DropForged] == 1 })
	do(t, e, conn, coap.GET, "")
	altered[9]++
	n.inject(altered)
	<-conn.Done()
	eventually(t, "its end", func() bool { return s.Stats().Associations == 0 })
}

// TestRestartFromSameAddress: a device that lost its state and has no
// close_notify to send gets in again from the same address and port (RFC 6347 §4.2.8).
func TestRestartFromSameAddress(t *testing.T) {
	creds := newCredentials(t)
	for name, cid := range map[string]bool{"with cid": true, "without cid": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, creds, nil)
			n := newNAT(t, s.Addr())
			e := newEngine(t)
			o := creds.client(t, "sensor")
			o.CID = cid
			first := dial(t, e, n.uri(), o)
			do(t, e, first, coap.GET, "")
			old := s.peer()
			n.setFilter(untilHello())
			first.Close() // nobody hears it
			second := dial(t, e, n.uri(), o)
			if got := do(t, e, second, coap.GET, ""); got != "sensor" {
				t.Errorf("GET = %q", got)
			}
			if s.peer() == old || s.peer().Addr() != n.outside() {
				t.Errorf("peer = %s", s.peer())
			}
			eventually(t, "end of the old one", func() bool { return s.Stats().Associations == 1 })
			if err := old.Send([]byte{0}); err == nil {
				t.Error("the old association can still send")
			}
		})
	}
}

// TestOldAssociationSurvivesAttempts: neither a forged hello from its address
// nor a handshake that fails there ends an association.
func TestOldAssociationSurvivesAttempts(t *testing.T) {
	creds := newCredentials(t)
	for name, cid := range map[string]bool{"with cid": true, "without cid": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, creds, func(o *transport.ListenOptions) { o.HandshakeTimeout = 5 * time.Second })
			n := newNAT(t, s.Addr())
			e := newEngine(t)
			o := creds.client(t, "sensor")
			o.CID = cid
			conn := dial(t, e, n.uri(), o)
			do(t, e, conn, coap.GET, "")
			peer := s.peer()

			n.begin(clientHello(t))
			eventually(t, "a handshake beside", func() bool { return s.Stats().HandshakesPending == 1 })
			if got := do(t, e, conn, coap.GET, ""); got != "sensor" || s.peer() != peer {
				t.Errorf("GET beside a handshake = %q from %s", got, s.peer())
			}
			n.inject([]byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40}) // a fatal alert, in the clear
			eventually(t, "its end", func() bool { return s.Stats().HandshakesPending == 0 })
			n.inject([]byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40})
			eventually(t, "the alert", func() bool { return s.Stats().Drops[transport.DropPlaintext] == 1 })
			if got := do(t, e, conn, coap.GET, ""); got != "sensor" || s.peer() != peer {
				t.Errorf("GET after all = %q from %s", got, s.peer())
			}
		})
	}
}

// TestTwoDevicesBehindOnePort: an association of somebody else with an
// identifier survives a new one from its address.
func TestTwoDevicesBehindOnePort(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	n := newNAT(t, s.Addr())
	e := newEngine(t)
	first := dial(t, e, n.uri(), creds.client(t, "first"))
	do(t, e, first, coap.GET, "")
	second := dial(t, e, n.uri(), creds.client(t, "second"))
	if got := do(t, e, second, coap.GET, ""); got != "second" {
		t.Errorf("GET = %q", got)
	}
	if got := do(t, e, first, coap.GET, ""); got != "first" {
		t.Errorf("GET = %q", got)
	}
	if st := s.Stats(); st.Associations != 2 {
		t.Errorf("Stats = %+v", st)
	}
}

// TestLastFlightRepeated: the server's last flight is lost once; what the client
// repeats is answered with it.
func TestLastFlightRepeated(t *testing.T) {
	creds := newCredentials(t)
	for name, cid := range map[string]bool{"with cid": true, "without cid": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, creds, nil)
			n := newNAT(t, s.Addr())
			var lost atomic.Int64
			n.setFilter(func(toServer bool, d []byte) bool {
				if !toServer && dtls.ContentType(d[0]) == dtls.ChangeCipherSpec && lost.Load() == 0 {
					lost.Add(1)
					return false
				}
				return true
			})
			e := newEngine(t)
			o := creds.client(t, "sensor")
			o.CID = cid
			conn := dial(t, e, n.uri(), o)
			if got := do(t, e, conn, coap.GET, ""); got != "sensor" || lost.Load() != 1 {
				t.Errorf("GET = %q, %d flights lost", got, lost.Load())
			}
		})
	}
}

// TestEachDatagramLostOnce loses one datagram of a handshake after the other,
// in both directions.
func TestEachDatagramLostOnce(t *testing.T) {
	creds := newCredentials(t)
	for lost := range 12 {
		t.Run(strconv.Itoa(lost), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, creds, nil)
			n := newNAT(t, s.Addr())
			seen := 0
			n.setFilter(func(bool, []byte) bool {
				seen++
				return seen != lost+1
			})
			e := newEngine(t)
			o := creds.client(t, "sensor")
			o.CID = lost%2 == 0
			conn := dial(t, e, n.uri(), o)
			if got := do(t, e, conn, coap.GET, ""); got != "sensor" {
				t.Errorf("GET = %q", got)
			}
			if st := s.Stats(); st.Associations != 1 || st.Handshakes != 1 {
				t.Errorf("Stats = %+v", st)
			}
		})
	}
}

// TestIdleAssociationsCostNoGoroutine leaves associations behind whose devices
// have fallen silent.
func TestIdleAssociationsCostNoGoroutine(t *testing.T) {
	s := newSite(t, newCredentials(t), nil)
	n := newNAT(t, s.Addr())
	e := newEngine(t)
	var before int
	for i := range 100 {
		conn := dial(t, e, n.uri(), dtls.ClientOptions{
			PSKIdentity: []byte("sensor"), PSK: []byte("0123456789abcdef"), CID: true,
		})
		do(t, e, conn, coap.GET, "")
		n.setFilter(untilHello())
		conn.Close()
		n.rebind()
		if i == 0 {
			before = runtime.NumGoroutine()
		}
	}
	if got := s.Stats().Associations; got < 90 { // a port may come again, and its association be replaced
		t.Errorf("%d associations", got)
	}
	const workers = 8 // that the engine or the handshakes may have started meanwhile
	eventually(t, "no goroutine for each", func() bool { return runtime.NumGoroutine() <= before+workers })
}
