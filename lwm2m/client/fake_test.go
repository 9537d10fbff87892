package client_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
)

// A fakePeer is a server that is only a name.
type fakePeer string

func (fakePeer) Send([]byte) error       { return nil }
func (fakePeer) Identity() coap.Identity { return coap.Identity{} }
func (fakePeer) Addr() netip.AddrPort    { return netip.AddrPort{} }
func (p fakePeer) String() string        { return string(p) }

// A fakeEngine accepts every registration and keeps what is notified.
type fakeEngine struct {
	err error // of Notify

	mu       sync.Mutex
	notified []string
}

func (*fakeEngine) Do(context.Context, coap.Peer, *coap.Request) (*coap.Response, error) {
	return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "1"}}, nil
}

func (f *fakeEngine) Notify(_ context.Context, p coap.Peer, _ []byte, r *coap.Response, confirmable bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notified = append(f.notified, fmt.Sprintf("%s %s %v", p, r.Code, confirmable))
	return f.err
}

func (f *fakeEngine) taken() []string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.notified
	f.notified = nil
	return out
}

// fakeClient is a client with a sensor that runs until the test ends.
func fakeClient(t *testing.T, f *fakeEngine) (*client.Client, *client.Table) {
	t.Helper()
	sensor := client.NewTable(client.TableOptions{
		ID: 3303, Schema: testSchema, Values: []lwm2m.Entry{entry("/3303/0/5700", lwm2m.Float(20))},
	})
	c, err := client.New(client.Options{
		Endpoint: "a", Schema: testSchema, Engine: f, Objects: []client.Object{sensor},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return c, sensor
}

func observeFake(t *testing.T, c *client.Client, p coap.Peer, token string, query ...string) *coap.Response {
	t.Helper()
	return c.ServeCoAP(t.Context(), &coap.Request{
		Peer: p, Method: coap.GET, Path: []string{"3303", "0", "5700"}, Query: query,
		Observe: coap.ObserveRegister, Token: []byte(token),
	})
}

// Each server has its own observations and attributes; con says how they go.
func TestSeveralServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		c, sensor := fakeClient(t, f)
		for _, p := range []fakePeer{"alpha", "beta"} {
			if err := c.Register(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		observeFake(t, c, fakePeer("alpha"), "1")
		observeFake(t, c, fakePeer("beta"), "1", "con=0")
		if resp := observeFake(t, c, fakePeer("nobody"), "1"); resp.Code != coap.Unauthorized {
			t.Errorf("Observe by a stranger = %s, want 4.01", resp.Code)
		}
		sensor.Set(entry("/3303/0/5700", lwm2m.Float(21)))
		got := map[string]bool{}
		for _, n := range f.taken() {
			got[n] = true
		}
		if len(got) != 2 || !got["alpha 2.05 true"] || !got["beta 2.05 false"] {
			t.Errorf("notified %v", got)
		}
		c.Detach(fakePeer("alpha"))
		sensor.Set(entry("/3303/0/5700", lwm2m.Float(22)))
		if got := f.taken(); len(got) != 1 || got[0] != "beta 2.05 false" {
			t.Errorf("after Detach notified %q", got)
		}
	})
}

func TestNotifyFails(t *testing.T) {
	tests := []struct {
		err  error
		want int // notifications of two changes
	}{{coap.ErrReset, 1}, {coap.ErrTimeout, 1}, {coap.ErrClosed, 1}, {nil, 2}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeEngine{err: tt.err}
			c, sensor := fakeClient(t, f)
			c.Attach(fakePeer("alpha"), client.Account{Server: 1})
			observeFake(t, c, fakePeer("alpha"), "1")
			var got []string
			for _, v := range []float64{21, 22} {
				sensor.Set(entry("/3303/0/5700", lwm2m.Float(v)))
				got = append(got, f.taken()...)
			}
			if len(got) != tt.want {
				t.Errorf("with %v: notified %q, want %d", tt.err, got, tt.want)
			}
		})
	}
}

func TestObservationLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := fakeClient(t, &fakeEngine{})
		c.Attach(fakePeer("alpha"), client.Account{})
		accepted := 0
		for i := range 300 {
			resp := observeFake(t, c, fakePeer("alpha"), fmt.Sprint(i))
			if resp.Code != coap.Content {
				t.Fatalf("Observe = %s", resp.Code)
			}
			if resp.Observe {
				accepted++
			}
		}
		if accepted != 256 {
			t.Errorf("%d observations accepted, want 256", accepted)
		}
		if resp := observeFake(t, c, fakePeer("alpha"), "0"); !resp.Observe {
			t.Error("renewal of an observation refused at the limit")
		}
	})
}
