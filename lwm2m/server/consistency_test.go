package server_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// Devices that register, refresh, change, leave and come back all at once, while
// refreshes are folded and registrations expire: whenever the program ends, in
// order or not, the store and its log hold what memory had.
func TestMemoryMatchesStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, log := newLogged(t)
		stop := x.running()
		var group sync.WaitGroup
		const devices, steps = 40, 300
		for i := range devices {
			group.Go(func() { x.live(fmt.Sprint("d", i), rand.New(rand.NewPCG(1, uint64(i))), steps) })
		}
		group.Wait()
		crashed := x.over(log) // as if x had been killed now
		for i := range devices {
			sameRegistration(t, "after a crash", crashed, x, fmt.Sprint("d", i))
		}
		stop()
		fresh := x.over(nil) // the store alone
		for i := range devices {
			sameRegistration(t, "after the end", fresh, x, fmt.Sprint("d", i))
		}
		if n := len(log.Signs()); n != 0 {
			t.Errorf("%d signs left after the end", n)
		}
	})
}

// sameRegistration compares what two servers know of a device.
func sameRegistration(t *testing.T, when string, got, want *world, name string) {
	t.Helper()
	a, errA := got.Registration(deviceID(name))
	b, errB := want.Registration(deviceID(name))
	if (errA == nil) != (errB == nil) || !reflect.DeepEqual(a, b) {
		t.Errorf("%s, %s: %+v, %v\nwant %+v, %v", when, name, a, errA, b, errB)
	}
}

// live is some of the life of a device.
func (x *world) live(name string, random *rand.Rand, steps int) {
	var at string
	p := peerOf(name)
	request := func(method coap.Code, query, body string) *coap.Response {
		q := &coap.Request{Peer: p, Method: method, Path: []string{"rd"}, Payload: []byte(body)}
		if at != "" {
			q.Path = strings.Split(at, "/")
		}
		if query != "" {
			q.Query = strings.Split(query, "&")
		}
		x.Quick(q)
		res := x.ServeCoAP(x.t.Context(), q)
		if res.Sent != nil {
			res.Sent()
		}
		return res
	}
	for range steps {
		time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
		switch n := random.IntN(20); {
		case at == "" || n == 0:
			at = ""
			at = strings.Join(request(coap.POST, "lwm2m=1.1&lt=30", usual).LocationPath, "/")
		case n == 1:
			request(coap.DELETE, "", "")
			at = ""
		case n == 2:
			request(coap.POST, "b=US", "</3/0>")
		case n == 3:
			x.Doubt(deviceID(name))
		case n == 4:
			x.Closed(p)
		case n == 5:
			time.Sleep(time.Minute) // longer than its lifetime
		default:
			if request(coap.POST, fmt.Sprint("lt=", 10+random.IntN(30)), "").Code == coap.NotFound {
				at = ""
			}
		}
	}
}
