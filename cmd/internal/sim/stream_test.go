package sim_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
)

// TestTransports: by TLS a device does all that it does by DTLS, by TCP it is
// managed; and either registers anew when its connection has ended.
func TestTransports(t *testing.T) {
	t.Parallel()
	for _, by := range []sim.Transport{sim.TransportTLS, sim.TransportTCP} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			alpha, f := newProvider(t, "alpha"), newFactory(t)
			alpha.stop()
			alpha.streams = true
			alpha.start()
			o := options(t.TempDir())
			o.Transport, o.KeepAlive, o.AckTimeout = by, 200*time.Millisecond, 50*time.Millisecond
			at := map[sim.Transport]string{sim.TransportTLS: alpha.tls, sim.TransportTCP: alpha.tcp}[by]
			o.StreamPort = int(netip.MustParseAddrPort(at).Port())
			r := start(t, f.device("urn:dev:1", alpha), o)
			r.await(sim.Enrolled)
			r.await(sim.Registered)
			if got := alpha.read("urn:dev:1", lwm2m.NewPath(3, 0, 16)).Text(); got != "T" {
				t.Errorf("read /3/0/16 = %q, want T", got)
			}
			if got := alpha.srv.Transport("urn:dev:1"); got != map[sim.Transport]string{
				sim.TransportTLS: "coaps+tcp", sim.TransportTCP: "coap+tcp",
			}[by] {
				t.Errorf("Transport = %q", got)
			}
			alpha.stop()
			alpha.start()
			r.await(sim.Registered)
			alpha.read("urn:dev:1", battery)
			if err := r.stop(); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
	}
}

func TestTransportRefused(t *testing.T) {
	b := newFactory(t).device("urn:dev:1", newProvider(t, "alpha"))
	for name, change := range map[string]func(*sim.Options){
		"unknown": func(o *sim.Options) { o.Transport = "sctp" },
		"port":    func(o *sim.Options) { o.StreamPort = 65536 },
	} {
		o := options(t.TempDir())
		change(&o)
		if _, err := sim.New(b, o); !errors.Is(err, sim.ErrOptions) {
			t.Errorf("%s: New = %v, want ErrOptions", name, err)
		}
	}
}
