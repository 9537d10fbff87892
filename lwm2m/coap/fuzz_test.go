package coap_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// FuzzReceive feeds an engine with datagrams cut out of the input: whatever
// they are, the state stays below the limits and is gone in the end.
func FuzzReceive(f *testing.F) {
	var all []byte
	for _, list := range [][]byte{
		unhex(f, "4402b60b2161fb63b13101300138"), unhex(f, "4102123401d10e0861"), unhex(f, "41021234aad10e08ff"),
		unhex(f, "410112350161ff"), unhex(f, "41011236016001"), unhex(f, "60001234"), unhex(f, "70001234"), unhex(f, "4f"),
	} {
		f.Add(append([]byte{byte(len(list))}, list...))
		all = append(append(all, byte(len(list))), list...)
	}
	f.Add(all)
	f.Add(append([]byte{25, 0x41, 2, 1, 1, 9, 0xd1, 14, 8, 0xff}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		synctest.Test(t, func(t *testing.T) {
			e := coap.New(coap.Options{
				MaxDedup: 8, MaxBlockTransfers: 2, MaxBlockBytes: 64, MaxBody: 48, BlockSize: 16, MaxHandlers: 4,
				Quick: func(r *coap.Request) bool { return r.Method == coap.POST },
				Handler: coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
					if r.Method == coap.PUT {
						time.Sleep(time.Second)
					}
					resp := echo(ctx, r)
					resp.Observe = true
					return resp
				}),
			})
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = e.Run(ctx) })
			peers := []*wire{{}, {}, {}}
			for n := 0; len(in) > 0; n++ {
				size := min(int(in[0]), len(in)-1)
				e.Receive(peers[n%3], in[1:1+size])
				in = in[1+size:]
				if n%4 == 0 {
					synctest.Wait()
				}
				if s := e.State(); s.Dedup > 8 || s.Bodies > 2 || s.BodyBytes > 64 || s.Handlers > 4 || s.Links > 3 {
					t.Fatalf("%+v", s)
				}
				if err := e.Check(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Hour)
			for _, w := range peers {
				w.take(t)
				e.Closed(w)
			}
			if s := e.State(); s != (coap.State{}) {
				t.Fatalf("left %+v", s)
			}
			cancel()
			wg.Wait()
		})
	})
}
