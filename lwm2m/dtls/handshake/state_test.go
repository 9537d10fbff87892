package handshake_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/dtls/handshake"
)

// TestRepeatedHello is answered with the flight again, some times.
func TestRepeatedHello(t *testing.T) {
	creds := newCredentials(t)
	s, client := newStage(t, creds, nil), creds.certClient()
	flights := 0
	_ = client.Run(func(d ...[]byte) [][]byte {
		out := s.post(somewhere, d...)
		if client.Cookie == nil {
			return out
		}
		for range 20 {
			if len(s.post(somewhere, d...)) > 0 {
				flights++
			}
		}
		return nil
	})
	if flights != 8 {
		t.Errorf("%d flights repeated", flights)
	}
	end(t, s)
}

// TestRepetitions: intervals double, datagrams get smaller, the deadline ends it.
func TestRepetitions(t *testing.T) {
	creds := newCredentials(t)
	s, client := newStage(t, creds, nil), creds.certClient()
	begin := time.Now()
	_ = client.Run(func(d ...[]byte) [][]byte { return s.post(somewhere, d...) })
	client = creds.certClient() // the first one has completed
	client.ChangeFlight = func([]handshake.Msg) []handshake.Msg { return nil }
	_ = client.Run(func(d ...[]byte) [][]byte { return s.post(somewhere, d...) })
	var at []int
	for second := range 21 {
		handshake.Tick(s.Server, begin.Add(time.Duration(second)*time.Second+900*time.Millisecond))
		handshake.Work(s.Server)
		out := s.out[somewhere]
		delete(s.out, somewhere)
		if len(out) > 0 {
			at = append(at, second)
		}
		for _, d := range out {
			if most := map[bool]int{true: 548, false: 1232}[len(at) > 2]; len(d) > most {
				t.Errorf("second %d: datagram of %d bytes", second, len(d))
			}
		}
	}
	if fmt.Sprint(at) != "[1 3 7 15]" || s.Pending() != 0 || s.places != 0 {
		t.Errorf("repeated after %v, %d pending", at, s.Pending())
	}
}

// TestInterleaved: two clients at one address. The later one gets in, and so does
// the other when it tries again.
func TestInterleaved(t *testing.T) {
	creds := newCredentials(t)
	s, first, second := newStage(t, creds, nil), creds.certClient(), creds.certClient()
	var old []byte
	_ = first.Run(func(d ...[]byte) [][]byte {
		out := s.post(somewhere, d...)
		if first.Cookie != nil {
			old = d[0]
			return nil
		}
		return out
	})
	err := second.Run(func(d ...[]byte) [][]byte {
		out := s.post(somewhere, d...)
		if old != nil && second.Cookie != nil {
			s.post(somewhere, old) // late
			old = nil
		}
		return out
	})
	if err != nil || s.Pending() != 0 || s.places != 0 {
		t.Errorf("second = %v, %d pending, %d places", err, s.Pending(), s.places)
	}
	s.must(t, creds.certClient())
}

// TestCap: so many and no more, and spoofed hellos are not among them.
func TestCap(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, func(o *handshake.Options) { o.Limit = 2 })
	for i := range 5 {
		from := netip.AddrPortFrom(somewhere.Addr(), uint16(1000+i))
		_ = creds.certClient().Run(func(d ...[]byte) [][]byte { return s.post(from, d...) })
		client := creds.certClient()
		client.ChangeFlight = func([]handshake.Msg) []handshake.Msg { return nil }
		_ = client.Run(func(d ...[]byte) [][]byte { return s.post(from, d...) })
	}
	if s.Pending() != 2 || s.places != 2 {
		t.Errorf("%d pending, %d places", s.Pending(), s.places)
	}
	end(t, s)
}

// TestCookieSecretsChange: a cookie lives between five and ten minutes.
func TestCookieSecretsChange(t *testing.T) {
	creds := newCredentials(t)
	s := &quiet{}
	server, err := handshake.New(handshake.Options{Host: s, Credentials: creds})
	if err != nil {
		t.Fatal(err)
	}
	var proved []byte
	now := time.Now()
	stage := newStage(t, creds, nil)
	_ = creds.certClient().Run(func(d ...[]byte) [][]byte {
		server.Hello(d[0], somewhere, s, now)
		if proved == nil && s.last != nil {
			proved = d[0]
			return [][]byte{s.last}
		}
		proved = d[0]
		return nil
	})
	_ = stage
	for _, c := range []struct {
		after time.Duration
		from  netip.AddrPort
		want  handshake.Outcome
	}{
		{0, somewhere, handshake.Declined},
		{0, netip.MustParseAddrPort("192.0.2.7:5685"), handshake.Verified},
		{0, netip.MustParseAddrPort("192.0.2.8:5684"), handshake.Verified},
		{4 * time.Minute, somewhere, handshake.Declined},
		{6 * time.Minute, somewhere, handshake.Declined},
		{11 * time.Minute, somewhere, handshake.Verified},
		{31 * time.Minute, somewhere, handshake.Verified},
	} {
		if got := server.Hello(proved, c.from, s, now.Add(c.after)); got != c.want {
			t.Errorf("after %v from %v: %d, want %d", c.after, c.from, got, c.want)
		}
	}
}

// TestHalfOpenMemory: what a client costs that has proved its address and says no
// more, or a byte of a certificate that it says is long.
func TestHalfOpenMemory(t *testing.T) {
	creds := newCredentials(t)
	const n, certificate, longest = 1000, 11, 8192
	for name, c := range map[string]struct {
		more  []byte
		bound int64
	}{
		"no more":              {nil, 2048},
		"the last byte":        {piece(9, certificate, 2, longest, longest-1, []byte{1}), 2048},
		"the first byte":       {piece(9, certificate, 2, longest, 0, []byte{1}), 2048},
		"a byte after the gap": {piece(9, certificate, 2, longest, 1024, []byte{1}), 3072},
	} {
		s := newStage(t, creds, nil)
		half := func(i int) {
			client := creds.certClient()
			client.ChangeFlight = func([]handshake.Msg) []handshake.Msg { return nil }
			from := netip.AddrPortFrom(somewhere.Addr(), uint16(1000+i))
			_ = client.Run(func(d ...[]byte) [][]byte { return s.post(from, d...) })
			if c.more != nil {
				s.post(from, c.more)
			}
		}
		half(n)
		before := heap()
		for i := range n {
			half(i)
		}
		each := (heap() - before) / n
		if s.Pending() != n+1 || each > c.bound {
			t.Errorf("%s: %d pending, %d bytes each", name, s.Pending(), each)
		}
		t.Logf("%s: %d bytes for a handshake half open", name, each)
		end(t, s)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMistakeOfOurs: a panic ends one handshake.
func TestMistakeOfOurs(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	creds.psk = nil
	creds.lapse = true
	client := creds.pskClient()
	if out, err := s.run(client); err == nil || out.Established != nil || client.Alert != 80 {
		t.Errorf("%v, %v, alert %d", out.err, err, client.Alert)
	}
	end(t, s)
	creds.lapse = false
	s.must(t, creds.certClient())
}

// TestLongLastFlight: with the longest name and the shortest records the last flight
// is still one datagram, as what is repeated must be.
func TestLongLastFlight(t *testing.T) {
	creds := newCredentials(t)
	name := strings.Repeat("n", 250)
	creds.server[name] = creds.server[""]
	for _, limit := range []uint16{64, 511, 512, 0} {
		s, client := newStage(t, creds, nil), creds.certClient()
		client.RecordSize, client.WantTicket, client.ServerName = limit, true, name
		out := s.must(t, client)
		if (len(client.NewTicket) > 0) != (limit == 0 || limit == 512) || len(out.LastFlight) > 1232 {
			t.Errorf("limit %d: ticket of %d bytes, flight of %d", limit, len(client.NewTicket), len(out.LastFlight))
		}
	}
}

// TestInboxes are bounded, each and all together.
func TestInboxes(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	client := creds.certClient()
	client.ChangeFlight = func([]handshake.Msg) []handshake.Msg { return nil }
	_ = client.Run(func(d ...[]byte) [][]byte { return s.post(somewhere, d...) })
	record := append([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 1, 0}, make([]byte, 256)...)
	for i := range 70 {
		want := handshake.Taken
		if i >= 64 {
			want = handshake.Overrun
		}
		if got := s.Deliver(record, somewhere); got != want {
			t.Fatalf("datagram %d: %d, want %d", i, got, want)
		}
	}
	handshake.Work(s.Server)
	if got := s.Deliver(record, somewhere); got != handshake.Taken {
		t.Errorf("after all: %d", got)
	}
	end(t, s)
	if n := handshake.Waiting(s.Server); n != 0 {
		t.Errorf("%d bytes are still waiting", n)
	}
}
