package server_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// A silent exchanger counts what it is asked, how many at once, and answers as
// devices do that are out of reach.
type silent struct {
	asked, now, most atomic.Int64
	patience         time.Duration
}

func (x *silent) Do(context.Context, coap.Peer, *coap.Request) (*coap.Response, error) {
	x.asked.Add(1)
	x.most.Store(max(x.most.Load(), x.now.Add(1)))
	time.Sleep(x.patience)
	x.now.Add(-1)
	return nil, coap.ErrTimeout
}

func (x *silent) Observe(ctx context.Context, p coap.Peer, r *coap.Request, _ func(*coap.Response)) (
	*coap.Response, *coap.Observation, error,
) {
	res, err := x.Do(ctx, p, r)
	return res, nil, err
}

// A device that does not answer is asked again by itself, a few times, and anew
// once it speaks; one in queue mode only then.
func TestSilentDevice(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		want        int64 // questions before it speaks again
	}{
		{"always on", "ep=alpha&lwm2m=1.1&lt=0", 6},
		{"queue mode", "ep=alpha&lwm2m=1.1&lt=0&Q", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exchanger := &silent{patience: 93 * time.Second}
				x := &world{t: t, store: &servertest.Store{}}
				x.Server = mustNew(t, server.Options{
					Store: x.store, Exchanger: exchanger, Schema: testSchema, Identify: identify,
				})
				if err := x.store.Want(t.Context(), "alpha", server.Node(path("/3/0/9")), true, "test"); err != nil {
					t.Fatal(err)
				}
				stop := x.running()
				defer stop()
				at := x.register(alpha, tt.query, usual)
				time.Sleep(time.Hour)
				if n := exchanger.asked.Load(); n != tt.want {
					t.Errorf("asked %d times in an hour, want %d", n, tt.want)
				}
				x.serve(alpha, coap.POST, at, "", codec.Link, "")
				time.Sleep(time.Hour)
				if n := exchanger.asked.Load(); n != 2*tt.want {
					t.Errorf("asked %d times after an Update, want %d", n, 2*tt.want)
				}
				x.Closed(alpha)
				time.Sleep(time.Hour)
				if n := exchanger.asked.Load(); n != 2*tt.want {
					t.Errorf("asked %d times, some without an association", n)
				}
			})
		})
	}
}

// Many devices are served at once, but not more than allowed, and none is left out.
func TestManyObservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exchanger := &silent{patience: time.Second}
		x := &world{t: t, store: &servertest.Store{}}
		x.Server = mustNew(t, server.Options{
			Store: x.store, Exchanger: exchanger, Schema: testSchema, Identify: identify, Workers: 20,
		})
		stop := x.running()
		defer stop()
		const devices = 1000
		for i := range devices {
			name := fmt.Sprint("d", i)
			if err := x.store.Want(t.Context(), deviceID(name), server.Node(path("/3/0/9")), true, "test"); err != nil {
				t.Fatal(err)
			}
			x.register(peerOf(name), "lwm2m=1.1&lt=0", usual)
		}
		time.Sleep(devices/20*time.Second + time.Second)
		if asked, most := exchanger.asked.Load(), exchanger.most.Load(); asked != devices || most != 20 {
			t.Errorf("%d devices asked, %d at once; want %d, 20 at once", asked, most, devices)
		}
	})
}
