package transport

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// A Speaker is the device of an association with made-up keys.
type Speaker struct {
	CID     [dtls.CIDLength]byte
	session dtls.Session
}

// FillSpeakers is Fill with the other ends.
func FillSpeakers(tb testing.TB, l *Listener, n int) []*Speaker {
	tb.Helper()
	out := make([]*Speaker, n)
	for i := range out {
		place, err := l.table.reserve()
		if err != nil {
			tb.Fatal(err)
		}
		e := dtls.Established{Session: testSession(tb, &place.cid, nil), Identity: coap.Identity{
			Role: coap.RoleOperational, Name: fmt.Sprintf("urn:dev:ops:000001-%08d", i),
		}}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 5684)
		if err := l.establish(place, &e, from); err != nil {
			tb.Fatal(err)
		}
		out[i] = &Speaker{CID: place.cid, session: testSession(tb, nil, &place.cid)}
	}
	return out
}

// Ping makes a record with a CoAP ping.
func (s *Speaker) Ping(tb testing.TB, id uint16) []byte {
	tb.Helper()
	return s.Seal(tb, []byte{0x40, 0, byte(id >> 8), byte(id)})
}

// Seal makes a record.
func (s *Speaker) Seal(tb testing.TB, message []byte) []byte {
	tb.Helper()
	out, err := s.session.Seal(nil, dtls.ApplicationData, message)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// DatagramsIn returns how many datagrams each socket of l has received.
func DatagramsIn(l *Listener) (n []uint64) {
	for _, s := range l.shards {
		n = append(n, s.traffic.datagramsIn.Load())
	}
	return n
}

// Sweep looks for what is over, as happens now and then.
func Sweep(l *Listener) { l.sweep(context.Background()) }

// A GrowingLatency is a latency that tests can reach.
type GrowingLatency struct{ latency }

// Observe counts a duration.
func (g *GrowingLatency) Observe(d time.Duration) { g.observe(d) }

// Snapshot returns what was counted.
func (g *GrowingLatency) Snapshot() *Latency { return g.snapshot() }

// HandOver handles datagrams as if the first socket of l had received them at
// once.
func HandOver(l *Listener, datagrams [][]byte, from netip.AddrPort) {
	s := l.shards[0]
	s.begin()
	for _, d := range datagrams {
		l.receive(arrival{datagram: d, from: addressOf(from), now: l.now(), shard: s})
	}
	s.end()
}
