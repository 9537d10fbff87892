package transport_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/transport"
)

// TestAbsoluteTimeout: an association ends although its peer speaks, which is
// told, and gets in again.
func TestAbsoluteTimeout(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.AbsoluteTimeout = 2 * time.Second })
	e := newEngine(t)
	conn := dial(t, e, s.uri(), creds.client(t, "sensor"))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-conn.Done():
			over = true
		case <-tick.C:
			_ = conn.Send([]byte{0x40, 0, 0, 0}) // a ping
		}
	}
	eventually(t, "the end", func() bool { return s.Stats().Expired == 1 && s.Stats().Associations == 0 })
	if got := do(t, e, dial(t, e, s.uri(), creds.client(t, "sensor")), coap.GET, ""); got != "sensor" {
		t.Errorf("GET = %q", got)
	}
}

// TestWheel lets associations speak at random: each ends when its time is over,
// no earlier, and a bucket later at most.
func TestWheel(t *testing.T) {
	const idle, absolute, tick = 1000, 2500, 4 // tenths of a second
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		s := transport.NewSlab(100)
		s.Limits(idle*100*time.Millisecond, absolute*100*time.Millisecond)
		type times struct{ born, seen int32 }
		live := map[[8]byte]times{}
		for now := int32(0); now < 6000; now += int32(random.IntN(9)) {
			for _, id := range s.Over(now) {
				x, known := live[id]
				if !known {
					t.Fatalf("seed %d, time %d: one that was gone ended", seed, now)
				}
				if due := min(x.seen+idle, x.born+absolute); now <= due {
					t.Fatalf("seed %d, time %d: ended before %d", seed, now, due)
				}
				delete(live, id)
			}
			for id, x := range live {
				if due := min(x.seen+idle, x.born+absolute); now > due+tick+1 {
					t.Fatalf("seed %d, time %d: not ended by %d", seed, now, due)
				}
				switch random.IntN(400) {
				case 0:
					s.Remove(id) // its slot may be another's before its bucket is judged
					delete(live, id)
				case 1, 2:
					s.Speak(id, now)
					live[id] = times{x.born, now}
				}
			}
			if len(live) < 50 {
				id := s.Reserve(t)
				s.Occupy(t, id, coap.Identity{Name: "sensor"}, uint16(random.IntN(1<<16)))
				s.Born(id, now)
				live[id] = times{now, now}
			}
		}
	}
}
