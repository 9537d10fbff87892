package client_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// A watch is an observation held by the server side.
type watch struct {
	x  *world
	at string
	o  *coap.Observation

	mu  sync.Mutex
	got []*coap.Response
}

func (x *world) observe(q *coap.Request, at string) (*watch, *coap.Response) {
	x.t.Helper()
	wa := &watch{x: x, at: at}
	first, o, err := x.engine.Observe(x.t.Context(), x.toDevice, q, func(n *coap.Response) {
		wa.mu.Lock()
		defer wa.mu.Unlock()
		wa.got = append(wa.got, n)
	})
	if err != nil {
		x.t.Fatalf("Observe %v: %v", q.Path, err)
	}
	wa.o = o
	return wa, first
}

func (x *world) observePath(p string, query ...string) *watch {
	x.t.Helper()
	wa, first := x.observe(&coap.Request{
		Method: coap.GET, Path: path(p).Segments(), Query: query, Accept: coap.FormatID(codec.SenMLCBOR),
	}, p)
	if first.Code != coap.Content || wa.o == nil {
		x.t.Fatalf("Observe %s = %s, accepted %v", p, first.Code, wa.o != nil)
	}
	return wa
}

// taken waits for what is under way and returns the notifications as text.
func (wa *watch) taken() []string {
	wa.x.t.Helper()
	synctest.Wait()
	wa.mu.Lock()
	defer wa.mu.Unlock()
	var out []string
	for _, n := range wa.got {
		if n.Code != coap.Content {
			out = append(out, n.Code.String())
			continue
		}
		out = append(out, decoded(wa.x.t, wa.at, n)...)
	}
	wa.got = nil
	return out
}

func (wa *watch) want(when string, want ...string) {
	wa.x.t.Helper()
	if got := wa.taken(); !slices.Equal(got, want) {
		wa.x.t.Errorf("%s: notified %q, want %q", when, got, want)
	}
}

func (x *world) temperature(v float64) { x.sensor.Set(entry("/3303/0/5700", lwm2m.Float(v))) }

func TestObserve(t *testing.T) {
	for _, unconfirmed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t, client.Options{Unconfirmed: unconfirmed})
			x.register()
			resource := x.observePath("/3303/0/5700")
			instance := x.observePath("/3/0")
			single := x.observePath("/3/0/6/1")
			x.temperature(21)
			resource.want("change", "/3303/0/5700=21")
			x.temperature(21)
			resource.want("the same value again")
			x.base.Set(entry("/3/0/6/1", lwm2m.Integer(2)))
			instance.want("change below", "/3/0/0=Steward", "/3/0/14=+02:00", "/3/0/6/0=1", "/3/0/6/1=2", "/3/0/9=100")
			single.want("change of a resource instance", "/3/0/6/1=2")
			// Written by the server itself, the value is notified as well.
			x.do(coap.PUT, "/3/0/14", 0, -1, "Z")
			if got := instance.taken(); !slices.Contains(got, "/3/0/14=Z") {
				t.Errorf("after Write notified %q", got)
			}
			single.want("a change elsewhere")
			if err := resource.o.Cancel(t.Context()); err != nil {
				t.Errorf("Cancel = %v", err)
			}
			x.temperature(25)
			resource.want("after the cancellation")
			// Forgotten: the notification is reset, and no other is sent.
			instance.o.Forget()
			x.base.Set(entry("/3/0/9", lwm2m.Integer(1)))
			x.base.Set(entry("/3/0/9", lwm2m.Integer(2)))
			instance.want("after Forget")
		})
	}
}

func TestObservePeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{Lifetime: 24 * time.Hour})
		x.register()
		x.do(coap.PUT, "/3303/0", -1, -1, "", "pmin=10", "pmax=60")
		wa := x.observePath("/3303/0/5700")
		time.Sleep(2 * time.Second)
		x.temperature(21)
		x.temperature(22)
		wa.want("before pmin")
		time.Sleep(8 * time.Second)
		wa.want("at pmin, the newest value", "/3303/0/5700=22")
		time.Sleep(59 * time.Second)
		wa.want("before pmax")
		time.Sleep(time.Second)
		wa.want("at pmax, without a change", "/3303/0/5700=22")
		time.Sleep(30 * time.Second)
		x.temperature(23)
		wa.want("after pmin, at once", "/3303/0/5700=23")
		// The resource's own attribute goes before the instance's; pmax < pmin is ignored.
		x.do(coap.PUT, "/3303/0/5700", -1, -1, "", "pmax=5")
		time.Sleep(5 * time.Minute)
		wa.want("pmax below pmin")
		x.do(coap.PUT, "/3303/0", -1, -1, "", "pmin")
		time.Sleep(11 * time.Second)
		if got := wa.taken(); len(got) < 2 {
			t.Errorf("with pmax 5 after 11 s: notified %q, want twice", got)
		}
	})
}

func TestObserveDefaultPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{Lifetime: 24 * time.Hour})
		x.c.Attach(x.toServer, client.Account{MinPeriod: 5 * time.Second, MaxPeriod: 30 * time.Second})
		x.register()
		wa := x.observePath("/3303/0/5700")
		query := x.observePath("/3303/0/5700", "pmin=0", "pmax=0")
		x.temperature(21)
		wa.want("before the default pmin")
		query.want("pmin of the request", "/3303/0/5700=21")
		time.Sleep(5 * time.Second)
		wa.want("at the default pmin", "/3303/0/5700=21")
		time.Sleep(30 * time.Second)
		wa.want("at the default pmax", "/3303/0/5700=21")
		query.want("pmax 0 is none")
	})
}

// §7.3.2: gt and lt by crossing, st by distance from what was reported, edge.
func TestObserveThresholds(t *testing.T) {
	tests := []struct {
		name       string
		attributes []string
		values     []float64 // from 20 on
		want       []string
	}{
		{"gt", []string{"gt=25"}, []float64{21, 25, 26, 30, 24}, []string{"26", "24"}},
		{"lt", []string{"lt=10"}, []float64{15, 9, 8, 10}, []string{"9", "10"}},
		{"st", []string{"st=2"}, []float64{21, 22, 23, 19.5}, []string{"22", "19.5"}},
		{"gt and st", []string{"gt=25", "st=10"}, []float64{24, 26, 36}, []string{"26", "36"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newWorld(t, client.Options{})
				x.register()
				x.do(coap.PUT, "/3303/0/5700", -1, -1, "", tt.attributes...)
				wa := x.observePath("/3303/0/5700")
				var got []string
				for _, v := range tt.values {
					x.temperature(v)
					got = append(got, wa.taken()...)
				}
				for i, v := range tt.want {
					tt.want[i] = "/3303/0/5700=" + v
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("notified %q, want %q", got, tt.want)
				}
			})
		})
	}
	t.Run("edge", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t, client.Options{})
			x.register()
			wa := x.observePath("/3303/0/5500", "edge=1")
			for _, v := range []bool{true, false, true} {
				x.sensor.Set(entry("/3303/0/5500", lwm2m.Boolean(v)))
				synctest.Wait()
			}
			wa.want("rising twice", "/3303/0/5500=true", "/3303/0/5500=true")
		})
	})
}

func TestObserveComposite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.register()
		body, err := codec.EncodePaths(codec.SenMLCBOR, []lwm2m.Path{path("/3/0/9"), path("/3303/0/5700")})
		if err != nil {
			t.Fatal(err)
		}
		wa, first := x.observe(&coap.Request{
			Method: coap.FETCH, ContentFormat: coap.FormatID(codec.SenMLCBOR), Payload: body, Query: []string{"pmin=3"},
		}, "/")
		if got := decoded(t, "/", first); wa.o == nil || len(got) != 2 {
			t.Fatalf("Observe-Composite = %q, accepted %v", got, wa.o != nil)
		}
		x.temperature(30)
		wa.want("before pmin")
		time.Sleep(3 * time.Second)
		wa.want("at pmin", "/3/0/9=100", "/3303/0/5700=30")
		if err := wa.o.Cancel(t.Context()); err != nil {
			t.Errorf("Cancel = %v", err)
		}
		x.temperature(31)
		time.Sleep(5 * time.Second)
		wa.want("after the cancellation")
	})
}

func TestObservationEnds(t *testing.T) {
	t.Run("instance deleted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t, client.Options{})
			x.register()
			x.do(coap.POST, "/1024", 110, -1, `[{"n":"/1024/0/1","vs":"a"}]`)
			wa := x.observePath("/1024/0")
			x.do(coap.DELETE, "/1024/0", -1, -1, "")
			wa.want("Delete", "4.04")
		})
	})
	t.Run("new registration", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t, client.Options{})
			x.register()
			wa := x.observePath("/3303/0/5700")
			x.register()
			x.temperature(30)
			wa.want("after Register")
		})
	})
	t.Run("refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t, client.Options{Version: lwm2m.Version11})
			x.register()
			q := &coap.Request{Method: coap.GET, Path: []string{"3303", "0", "5700"}, Query: []string{"pmin=1"}}
			if wa, first := x.observe(q, "/3303/0/5700"); first.Code != coap.BadRequest || wa.o != nil {
				t.Errorf("Observe with attributes at a 1.1 client = %s", first.Code)
			}
			q = &coap.Request{Method: coap.GET, Path: []string{"3303", "7"}}
			if wa, first := x.observe(q, "/3303/7"); first.Code != coap.NotFound || wa.o != nil {
				t.Errorf("Observe of nothing = %s", first.Code)
			}
		})
	})
}
