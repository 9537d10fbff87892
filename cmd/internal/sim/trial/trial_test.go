package trial_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/trial"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/objects"
)

func TestRegister(t *testing.T) {
	tests := []struct {
		name  string
		o     trial.Options
		query string
		links []string
	}{
		{
			"1.0",
			trial.Options{Version: lwm2m.Version10, Queue: true},
			"ep=a&lt=300&lwm2m=1.0&b=UQ",
			[]string{"</1/0>", "</3/0>"},
		},
		{
			"1.1, format",
			trial.Options{Version: lwm2m.Version11, Format: codec.TLV},
			"ep=a&lt=300&lwm2m=1.1&b=U",
			[]string{`</>;rt="oma.lwm2m";ct="11542 112 110 60"`, "</3/0>"},
		},
		{
			"1.2, alternate path",
			trial.Options{Root: "lw/m2m", Queue: true, Objects: []string{"10/1.1", "16", "9"}},
			"ep=a&lt=300&lwm2m=1.2&b=U&Q",
			[]string{`</lw/m2m>;rt="oma.lwm2m"`, "</lw/m2m/10>;ver=1.1", "</lw/m2m/16/0>"},
		},
		{
			"TCP",
			trial.Options{Servers: []string{"coap+tcp://server.example"}},
			"ep=a&lt=300&lwm2m=1.2&b=T",
			[]string{"</1/0>"},
		},
		{
			"gateway",
			trial.Options{Behind: []string{"dev1", "dev2"}},
			"ep=a&lt=300&lwm2m=1.2&b=U",
			[]string{"</25/0>,</25/1>"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.o)
				w.start()
				time.Sleep(time.Second)
				w.mu.Lock()
				links := string(w.requests[0].Payload)
				w.mu.Unlock()
				for _, want := range tt.links {
					if !strings.Contains(links, want) {
						t.Errorf("links %s lack %s", links, want)
					}
				}
				w.want("start", "POST /rd?"+tt.query)
				path := "3/0/0"
				if tt.o.Root != "" {
					w.expect(coap.GET, path, "", coap.NotFound)
					path = tt.o.Root + "/" + path
				}
				w.expect(coap.GET, path, "", coap.Content)
				if tt.o.Behind != nil {
					w.expect(coap.GET, "dev1/3303/0/5700", "", coap.Content)
					w.expect(coap.GET, "dev3/3/0", "", coap.NotFound)
					names := []byte(`[{"n":"/dev2/3/0/0"},{"n":"/dev2/3303"}]`)
					got := w.do(w.peer(), coap.FETCH, "", int(codec.SenMLJSON), names)
					if got.Code != coap.Content || !strings.Contains(string(got.Payload), "3303/0/5700") {
						t.Errorf("composite of an end device: %s %q", got.Code, got.Payload)
					}
					body := []byte(`[{"n":"/dev1/3/0/14","vs":"+01:00"}]`)
					if got := w.do(w.peer(), coap.IPATCH, "", int(codec.SenMLJSON), body); got.Code != coap.Changed {
						t.Errorf("Write-Composite of an end device: %s", got.Code)
					}
				}
			})
		})
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]trial.Options{
		"no name":     {Servers: []string{"coap://a"}},
		"no server":   {Endpoint: "a"},
		"scheme":      {Endpoint: "a", Servers: []string{"http://a"}},
		"no key":      {Endpoint: "a", Bootstrap: "coaps://a"},
		"TCP asleep":  {Endpoint: "a", Servers: []string{"coap+tcp://a"}, Queue: true},
		"TCP in 1.0":  {Endpoint: "a", Servers: []string{"coap+tcp://a"}, Version: lwm2m.Version10},
		"pack of 1.1": {Endpoint: "a", Bootstrap: "coap://a", Pack: true, Version: lwm2m.Version11},
		"pack":        {Endpoint: "a", Servers: []string{"coap://a"}, Pack: true},
		"loss":        {Endpoint: "a", Servers: []string{"coap://a"}, Loss: 1},
		"object":      {Endpoint: "a", Servers: []string{"coap://a"}, Objects: []string{"65000"}},
		"server":      {Endpoint: "a", Servers: []string{"coap://a"}, Objects: []string{"1"}},
		"old object":  {Endpoint: "a", Servers: []string{"coap://a"}, Objects: []string{"10/9.9"}},
		"prefix":      {Endpoint: "a", Servers: []string{"coap://a"}, Behind: []string{"3"}},
		"twice":       {Endpoint: "a", Servers: []string{"coap://a"}, Behind: []string{"d", "d"}},
	} {
		if _, err := trial.New(o); !errors.Is(err, trial.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := trial.ParseFaults("late,none"); !errors.Is(err, trial.ErrOptions) {
		t.Errorf("ParseFaults = %v", err)
	}
}

// Disable ends the registration for as long as the server has said (§E.2).
func TestDisable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{})
		w.start()
		time.Sleep(time.Second)
		w.take()
		w.expect(coap.PUT, "1/0/5", "50", coap.Changed)
		w.expect(coap.POST, "1/0/4", "", coap.Changed)
		time.Sleep(time.Second)
		w.want("disabled", "DELETE /rd/1?")
		time.Sleep(48 * time.Second)
		w.want("before the end")
		time.Sleep(3 * time.Second)
		w.want("enabled", "POST /rd?ep=a&lt=300&lwm2m=1.2&b=U")
	})
}

func TestReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{RebootEvery: time.Hour})
		w.start()
		time.Sleep(time.Second)
		w.expect(coap.PUT, "3/0/15", "Europe/Berlin", coap.Changed)
		w.take()
		w.expect(coap.POST, "3/0/4", "", coap.Changed)
		time.Sleep(time.Second)
		w.want("rebooted", "POST /rd?ep=a&lt=300&lwm2m=1.2&b=U")
		if got := w.expect(coap.GET, "3/0/15", "", coap.Content); !strings.Contains(string(got.Payload), "Berlin") {
			t.Errorf("timezone afterwards %q", got.Payload)
		}
		w.expect(coap.POST, "1/0/9", "", coap.MethodNotAllowed) // there is no bootstrap server
		time.Sleep(time.Hour)
		if n := w.kinds(sim.Rebooted); n != 2 {
			t.Errorf("rebooted %d times, want 2", n)
		}
	})
}

// give writes accounts as a bootstrap server does.
func give(w *world, p coap.Peer, path string, entries []lwm2m.Entry) {
	at, _ := lwm2m.ParsePath("/" + path)
	body, err := codec.Encode(codec.TLV, at, entries, trial.Schema())
	if err != nil {
		w.t.Error(err)
	}
	if r := w.do(p, coap.PUT, path, int(codec.TLV), body); r.Code != coap.Changed {
		w.t.Errorf("PUT %s = %s", path, r.Code)
	}
}

// TestBootstrap: accounts by bootstrap, refused while they are not consistent;
// again on /1/x/9 and when no server can be reached.
func TestBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Bootstrap: "coap://bootstrap.example", Format: codec.SenMLCBOR})
		w.write = func(w *world, p coap.Peer) {
			security := objects.Security{
				URI: "coaps://server.example", ShortServer: 7, Mode: objects.ModePSK,
				Identity: []byte("i"), SecretKey: []byte("0123456789abcdef"),
			}
			give(w, p, "0/1", security.Entries(lwm2m.NewPath(0, 1)))
			if w.kinds(trial.Bootstrapped) == 0 {
				if r := w.do(p, coap.POST, "bs", -1, nil); r.Code != coap.NotAcceptable {
					t.Errorf("Finish without /1 = %s, want 4.06", r.Code)
				}
			}
			give(w, p, "1/3", objects.Server{ShortID: 7, Lifetime: 120, Binding: "U"}.Entries(lwm2m.NewPath(1, 3)))
			if r := w.do(p, coap.POST, "bs", -1, nil); r.Code != coap.Changed {
				t.Errorf("Finish = %s", r.Code)
			}
		}
		w.start()
		time.Sleep(5 * time.Second)
		w.want("bootstrap", "POST /bs?ep=a&pct=112", "POST /rd?ep=a&lt=120&lwm2m=1.2&b=U")
		w.mu.Lock()
		if a := w.dialled[1]; a.ShortServer != 7 || a.Instance != 3 || string(a.Identity) != "i" {
			t.Errorf("dialled %v", a.ShortServer)
		}
		w.mu.Unlock()
		w.expect(coap.POST, "1/3/9", "", coap.Changed)
		time.Sleep(5 * time.Second)
		w.want("told to", "POST /bs?ep=a&pct=112", "POST /rd?ep=a&lt=120&lwm2m=1.2&b=U")

		w.mu.Lock()
		w.down = true
		w.mu.Unlock()
		w.expect(coap.POST, "3/0/4", "", coap.Changed)
		time.Sleep(time.Minute)
		if got := w.take(); len(got) == 0 || got[0] != "POST /bs?ep=a&pct=112" {
			t.Errorf("with no server there, asked %q", got)
		}
	})
}

// Two servers: each has its registration, and only the first may write.
func TestTwoServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{
			Servers: []string{"coap://one.example", "coap://two.example"}, Objects: []string{"2", "16"},
		})
		w.start()
		time.Sleep(time.Second)
		w.want("start", "POST /rd?ep=a&lt=300&lwm2m=1.2&b=U", "POST /rd?ep=a&lt=300&lwm2m=1.2&b=U")
		w.mu.Lock()
		peers := map[uint16]coap.Peer{}
		for i, a := range w.dialled {
			peers[a.ShortServer] = w.devices[i]
		}
		w.mu.Unlock()
		for short, want := range map[uint16]coap.Code{1: coap.Changed, 2: coap.Unauthorized} {
			if r := w.do(peers[short], coap.PUT, "3/0/15", int(codec.Text), []byte("UTC")); r.Code != want {
				t.Errorf("Write by server %d = %s, want %s", short, r.Code, want)
			}
			if r := w.do(peers[short], coap.GET, "3/0/15", -1, nil); r.Code != coap.Content {
				t.Errorf("Read by server %d = %s", short, r.Code)
			}
		}
	})
}
