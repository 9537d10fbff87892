package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// weatherLimit is what devices get to enrol and register in bad weather.
const weatherLimit = 120 * time.Second

// TestBadWeather lets devices enrol, register and answer over a network that loses,
// repeats, delays and reorders datagrams and changes addresses: each gets one
// certificate and one association, which outlives the addresses; and what was
// captured before the provider is killed is worth nothing after it.
func TestBadWeather(t *testing.T) {
	slow(t)
	t.Parallel()
	const devices = 8
	n := newNetwork(t, 1)
	alpha := append([]string{"--host", n.host, "--public-coaps", n.addr()}, scaled...) // as its certificate has it
	w := newWorldWith(t, devices, alpha, scaled)
	n.lead(w.alpha.coaps)
	n.set(weather{lost: 0.08, twice: 0.15, late: 0.3, delay: 60 * time.Millisecond})
	w.devices.run(t)
	w.onlineWithin(t, w.alpha, weatherLimit)
	// Who is not heard five times in a row begins anew, and that would count.
	n.set(weather{lost: 0.02, twice: 0.15, late: 0.3, delay: 60 * time.Millisecond})
	for _, name := range w.names {
		if live := w.live(t, w.alpha, name); len(live) != 1 {
			t.Errorf("%s has the live certificates %v, want one", name, live)
		}
	}
	const completed = `steward_dtls_handshakes_total{outcome="completed"}`
	led := w.metric(t, w.alpha, completed)
	for range 4 {
		n.rebind()
		w.allAnswer(t)
	}
	if now := w.metric(t, w.alpha, completed); now != led {
		t.Errorf("%v handshakes after changes of address, want the %v of before", now, led)
	}

	w.alpha.kill()
	w.alpha.restart(t)
	replayed := n.replay()
	w.allAnswer(t)
	if again := w.metric(t, w.alpha, completed); again != 0 {
		t.Errorf("%v handshakes after kill -9 and %d old datagrams, want none", again, replayed)
	}
	if refused := w.metric(t, w.alpha, `steward_dtls_drops_total{reason="replay"}`); refused < devices {
		t.Errorf("%v of %d old datagrams were refused as replays", refused, replayed)
	}
	for _, name := range w.names {
		if live := w.live(t, w.alpha, name); len(live) != 1 {
			t.Errorf("after old datagrams %s has the live certificates %v, want one", name, live)
		}
	}
	w.onlineWithin(t, w.alpha, weatherLimit)
}

// allAnswer waits until each device has answered a Read: one whose address changed
// can be asked when it has spoken.
func (w *world) allAnswer(t *testing.T) {
	t.Helper()
	for _, name := range w.names {
		eventually(t, weatherLimit, name+" answers", func() error {
			err := w.alpha.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+name+"/operations",
				map[string]string{"op": "read", "path": "/3/0/0"}, nil)
			if err != nil {
				return fmt.Errorf("read: %w", err)
			}
			return nil
		})
	}
}
