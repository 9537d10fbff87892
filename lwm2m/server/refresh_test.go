package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// newLogged returns a world whose refreshes go to a log.
func newLogged(t *testing.T) (*world, *servertest.Log) {
	t.Helper()
	x := &world{t: t, store: &servertest.Store{}, exchanger: &fakeExchanger{}}
	x.answer(&coap.Response{Code: coap.Changed}, nil)
	log := &servertest.Log{}
	return x.over(log), log
}

// over returns a server on the store of x and log, as after a restart.
func (x *world) over(log server.Log) *world {
	x.t.Helper()
	y := &world{t: x.t, store: x.store, exchanger: x.exchanger}
	y.Server = mustNew(x.t, server.Options{
		Store: x.store, Exchanger: x.exchanger, Schema: testSchema, Identify: identify, Signs: log,
	})
	return y
}

// running runs the server until stop is called.
func (x *world) running() (stop func()) {
	ctx, cancel := context.WithCancel(x.t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = x.Run(ctx) })
	return func() { cancel(); group.Wait() }
}

func (x *world) stored() server.Registration {
	x.t.Helper()
	r, ok := x.store.Registered("alpha")
	if !ok {
		x.t.Fatal("no registration in the store")
	}
	return r
}

func updateOf(p coap.Peer, at, query, body string) *coap.Request {
	q := &coap.Request{Peer: p, Method: coap.POST, Path: strings.Split(at, "/"), Payload: []byte(body)}
	if query != "" {
		q.Query = strings.Split(query, "&")
	}
	return q
}

// What is answered from memory, and what takes the longer way.
func TestQuick(t *testing.T) {
	x, log := newLogged(t)
	at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1&b=U&Q", usual)
	other := fakePeer{"192.0.2.7:1", alpha.who}
	for _, tt := range []struct {
		name, path, query, body string
		peer                    fakePeer
		method                  coap.Code
		want                    bool
	}{
		{name: "nothing but a sign of life", want: true},
		{name: "another lifetime", query: "lt=120", want: true},
		{name: "for ever", query: "lt=0", want: true},
		{name: "the same binding", query: "lt=60&b=U&Q", want: true},
		{name: "Q alone", query: "Q", want: true},
		{name: "b without Q", query: "b=U"},
		{name: "another binding", query: "b=US&Q"},
		{name: "lifetime twice", query: "lt=1&lt=2"},
		{name: "lifetime unreadable", query: "lt=x"},
		{name: "number for texts", query: "sms=1"},
		{name: "unknown parameter", query: "x=1"},
		{name: "a name", query: "ep=alpha"},
		{name: "objects", body: "</3/0>"},
		{name: "another association", peer: other},
		{name: "unknown location", path: "rd/AAAAAAAAAAAAAAAAAAAAAA"},
		{name: "no location", path: "rd/x"},
		{name: "Register", path: "rd"},
		{name: "De-register", method: coap.DELETE},
		{name: "Send", path: "dp"},
		{name: "no such resource", path: "x/y", want: true},
		{name: "no such method", method: coap.GET, want: true},
	} {
		if tt.path == "" {
			tt.path = at
		}
		if tt.peer.address == "" {
			tt.peer = alpha
		}
		q := updateOf(tt.peer, tt.path, tt.query, tt.body)
		if tt.method != 0 {
			q.Method = tt.method
		}
		if got := x.Quick(q); got != tt.want {
			t.Errorf("%s: Quick = %v, want %v", tt.name, got, tt.want)
		}
	}
	before := len(x.store.Audited())
	if res := x.serve(alpha, coap.POST, at, "lt=120", 0, ""); res.Code != coap.Changed {
		t.Fatalf("refresh = %s", res.Code)
	}
	got, kept := x.registration(), x.stored()
	if got.Lifetime != 2*time.Minute || !got.ExpiresAt.Equal(got.UpdatedAt.Add(2*time.Minute)) {
		t.Errorf("after a refresh: %+v", got)
	}
	if kept.Lifetime != time.Minute || len(x.store.Audited()) != before {
		t.Errorf("a refresh reached the store at once: %+v", kept)
	}
	signs := log.Signs()
	if len(signs) != 1 || signs[0].Location.String() != got.ID || !signs[0].At.Equal(got.UpdatedAt) {
		t.Errorf("signs %+v, want that of %s at %s", signs, got.ID, got.UpdatedAt)
	}
	x.Doubt("alpha")
	if x.Quick(updateOf(alpha, at, "", "")) {
		t.Error("quick although the device is doubtful")
	}
	if res := x.serve(alpha, coap.POST, at, "", 0, ""); res.Code != coap.Changed || !x.Quick(updateOf(alpha, at, "", "")) {
		t.Errorf("Update of a doubtful device = %s, and it is doubtful still", res.Code)
	}
	x.Closed(alpha)
	if x.Quick(updateOf(alpha, at, "", "")) {
		t.Error("quick although the association is over")
	}
}

// A log that takes no more is no reason to lose a refresh, nor to refuse it.
func TestLogFull(t *testing.T) {
	x, log := newLogged(t)
	at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	log.Fill()
	if res := x.serve(alpha, coap.POST, at, "lt=120", 0, ""); res.Code != coap.Changed {
		t.Fatalf("refresh = %s", res.Code)
	}
	if got := x.stored(); got.Lifetime != 2*time.Minute || len(log.Signs()) != 0 {
		t.Errorf("stored %+v, %d signs; want it stored at once", got, len(log.Signs()))
	}
}

// Few refreshes are folded within a second or two, many later and together, but not
// after their registrations seem to have ended; at the end of the program all are.
func TestFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, log := newLogged(t)
		stop := x.running()
		at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
		x.serve(alpha, coap.POST, at, "lt=120", 0, "")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := x.stored(); got.Lifetime != 2*time.Minute || len(log.Signs()) != 0 {
			t.Errorf("after 3 s: stored %+v, %d signs left", got, len(log.Signs()))
		}

		var places []string
		peers := make([]fakePeer, 300)
		for i := range peers {
			peers[i] = fakePeer{"192.0.2.9:1", coap.Identity{Role: coap.RolePSK, Name: fmt.Sprint("many-", i)}}
			places = append(places, x.register(peers[i], "lt=1000&lwm2m=1.1", usual))
		}
		refresh := func() {
			for i, p := range peers {
				x.serve(p, coap.POST, places[i], "", 0, "")
			}
		}
		refresh()
		time.Sleep(20 * time.Second)
		refresh()
		if n := len(log.Signs()); n != 600 {
			t.Errorf("%d signs after 20 s, want 600", n)
		}
		if log.Syncs() < 4 {
			t.Errorf("%d syncs in 20 s, want one each 5 s at least", log.Syncs())
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if n := len(log.Signs()); n != 0 {
			t.Errorf("%d signs after 35 s, want none", n)
		}
		refresh()
		x.serve(alpha, coap.POST, at, "lt=7", 0, "")
		time.Sleep(5 * time.Second)
		x.serve(alpha, coap.POST, at, "lt=8", 0, "")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := x.stored(); !got.ExpiresAt.After(time.Now()) {
			t.Errorf("the store has it as expired at %s", got.ExpiresAt)
		}
		refresh()
		stop()
		if n := len(log.Signs()); n != 0 {
			t.Errorf("%d signs after the end", n)
		}
	})
}

// What is left in the log at a crash is known to the next process, unless something
// else came after it.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, log := newLogged(t)
		beta, gamma := peerOf("beta"), peerOf("gamma")
		atAlpha := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
		atBeta := x.register(beta, "ep=beta&lt=60&lwm2m=1.1", usual)
		atGamma := x.register(gamma, "ep=gamma&lt=60&lwm2m=1.1", usual)
		time.Sleep(time.Second)
		for _, lt := range []string{"lt=100", "lt=200"} {
			x.serve(alpha, coap.POST, atAlpha, lt, 0, "")
			x.serve(beta, coap.POST, atBeta, lt, 0, "")
			x.serve(gamma, coap.POST, atGamma, lt, 0, "")
		}
		want := x.registration()
		if res := x.serve(beta, coap.DELETE, atBeta, "", 0, ""); res.Code != coap.Deleted {
			t.Fatalf("De-register = %s", res.Code)
		}
		x.register(gamma, "ep=gamma&lt=77&lwm2m=1.1", usual)

		y := x.over(log) // no Run: x crashed
		if got := y.registration(); got.Lifetime != 200*time.Second || !got.ExpiresAt.Equal(want.ExpiresAt) ||
			got.Address != alpha.address {
			t.Errorf("after the crash: %+v\nwant %+v", got, want)
		}
		if _, err := y.Registration("beta"); err == nil {
			t.Error("a De-register was undone")
		}
		if got, err := y.Registration("gamma"); err != nil || got.Lifetime != 77*time.Second {
			t.Errorf("a new Register was undone: %+v, %v", got, err)
		}
		if got := x.stored(); got.Lifetime != time.Minute {
			t.Errorf("stored before anything ran: %+v", got)
		}
		y.running()()
		if got := x.stored(); got.Lifetime != 200*time.Second || len(log.Signs()) != 0 {
			t.Errorf("folded: %+v, %d signs left", got, len(log.Signs()))
		}
		z := x.over(log)
		if got := z.registration(); !got.ExpiresAt.Equal(want.ExpiresAt) {
			t.Errorf("after another start: %+v", got)
		}
	})
}

// Registrations end when their lifetime is over, not before, whatever their
// lifetimes were before; those of the process before likewise.
func TestExpiries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, log := newLogged(t)
		stop := x.running()
		begin := time.Now()
		places := map[string]string{}
		for name, lt := range map[string]string{
			"short": "lt=10", "longer": "lt=10", "shorter": "lt=1000", "ever": "lt=0", "anew": "lt=5", "left": "lt=5",
		} {
			places[name] = x.register(peerOf(name), lt+"&lwm2m=1.1", usual)
		}
		x.serve(peerOf("longer"), coap.POST, places["longer"], "lt=20", 0, "")
		x.serve(peerOf("shorter"), coap.POST, places["shorter"], "lt=15", 0, "")
		x.register(peerOf("anew"), "lt=25&lwm2m=1.1", usual)
		x.serve(peerOf("left"), coap.DELETE, places["left"], "", 0, "")
		ends := map[string]time.Duration{"short": 10, "shorter": 15, "longer": 20, "anew": 25}
		for after := time.Duration(1); after <= 40; after++ {
			time.Sleep(time.Second)
			synctest.Wait()
			if after == 17 { // another process goes on
				stop()
				x = x.over(log)
				stop = x.running()
				synctest.Wait()
			}
			for name, end := range ends {
				_, err := x.Registration(deviceID(name))
				if registered := err == nil; after < end && !registered || after > end+1 && registered {
					t.Errorf("%s, of %d s: registered %v after %s", name, end, registered, time.Since(begin))
				}
			}
		}
		if _, err := x.Registration("ever"); err != nil || x.store.Registrations() != 1 {
			t.Errorf("for ever: %v; %d registrations in the store, want 1", err, x.store.Registrations())
		}
		stop()
	})
}

// A body makes an Update that changes nothing a refresh all the same.
func TestRefreshWithObjects(t *testing.T) {
	x, log := newLogged(t)
	at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	before := len(x.store.Audited())
	res := x.serve(alpha, coap.POST, at, "", codec.Link, usual)
	if res.Code != coap.Changed || len(x.store.Audited()) != before || len(log.Signs()) != 1 {
		t.Errorf("%s, %d signs, audit %q", res.Code, len(log.Signs()), x.store.Audited()[before:])
	}
}
