package server_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
)

// What a device may say after it accepted an observation: garbage, values of
// others, an error, more. What cannot be read is dropped, and the next counts.
func TestNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		var token []byte
		accept := func(_ context.Context, q *coap.Request) *coap.Response {
			token = q.Token
			res := content(codec.SenMLJSON, `[{"n":"/3/0/9","v":1}]`)
			res.Observe = true
			return res
		}
		raw, toServer, stop := x.raw(accept)
		defer stop()
		ctx := t.Context()
		_, err := raw.Do(ctx, toServer, &coap.Request{
			Method: coap.POST, Path: []string{"rd"}, Query: []string{"lwm2m=1.1", "lt=60"}, Payload: []byte(usual),
		})
		x.check("Register", err)
		x.check("Observe", x.Observe(ctx, "alpha", path("/3/0/9"), "me"))
		for _, tt := range []struct {
			name string
			res  *coap.Response
			want int64 // the last known value
		}{
			{"garbage", content(codec.SenMLCBOR, "\xff"), 1},
			{"a value", content(codec.SenMLJSON, `[{"n":"/3/0/9","v":2}]`), 2},
			{"another path", content(codec.SenMLJSON, `[{"n":"/3/0/9","v":3},{"n":"/3/0/14","vs":"x"}]`), 2},
			{"another format", content(codec.Text, "4"), 4},
			{"an error", &coap.Response{Code: coap.NotFound}, 4},
		} {
			x.check(tt.name, raw.Notify(ctx, toServer, token, tt.res, true))
			time.Sleep(time.Second) // values of notifications are written once a second
			if synctest.Wait(); x.level() != tt.want {
				t.Errorf("after %s: %d, want %d", tt.name, x.level(), tt.want)
			}
		}
		if got := x.states(); len(got) != 1 || got[0] != " /3/0/9 refusedended by the device with 4.04" {
			t.Errorf("observations %q", got)
		}
		if got := x.seen(); got[len(got)-1] != string(server.Lost) {
			t.Errorf("events %q, want a lost observation at last", got)
		}
		if _, kept := x.store.Value("alpha", path("/3/0/14")); kept {
			t.Error("a value outside of the observation was kept")
		}
	})
}

// An association speaks for one device: the later name counts.
func TestOneAssociation(t *testing.T) {
	x := newWorld(t)
	nosec := fakePeer{address: "192.0.2.6:1"}
	x.register(nosec, "ep=a", usual)
	x.register(nosec, "ep=b", usual)
	if x.Reachable("a") || !x.Reachable("b") {
		t.Errorf("reachable: a %v, b %v; want b only", x.Reachable("a"), x.Reachable("b"))
	}
}

// Many messages of one device at once leave one registration, which is the one
// that is live.
func TestConcurrentRegister(t *testing.T) {
	x := newWorld(t)
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			q := &coap.Request{
				Peer: alpha, Method: coap.POST, Path: []string{"rd"}, Query: []string{"ep=alpha"}, Payload: []byte(usual),
			}
			res := x.ServeCoAP(t.Context(), q)
			res.Sent()
			q.Path, q.Query, q.Payload = res.LocationPath, nil, nil
			if res = x.ServeCoAP(t.Context(), q); res.Sent != nil {
				res.Sent()
			}
		})
	}
	group.Wait()
	reg := x.registration()
	if x.store.Registrations() != 1 || !x.Reachable("alpha") {
		t.Fatalf("%d registrations, reachable %v", x.store.Registrations(), x.Reachable("alpha"))
	}
	if res := x.serve(alpha, coap.DELETE, "rd/"+reg.ID, "", 0, ""); res.Code != coap.Deleted || x.Reachable("alpha") {
		t.Errorf("De-register of what is stored = %s, reachable %v", res.Code, x.Reachable("alpha"))
	}
}

// raw runs a device that answers by a function, in place of the client.
func (x *pair) raw(answer coap.HandlerFunc) (device *coap.Engine, toServer *coap.PipeEnd, stop func()) {
	device = coap.New(coap.Options{Handler: answer})
	toServer, _ = coap.Join(device, x.engine, coap.Medium{A: alpha.who})
	ctx, cancel := context.WithCancel(x.t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = device.Run(ctx) })
	return device, toServer, func() { cancel(); group.Wait() }
}
