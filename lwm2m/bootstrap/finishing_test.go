package bootstrap_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/bootstrap/boottest"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// TestFinishing: who is told that all was written is told before the device is, which
// may act on it at once on the same association.
func TestFinishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice("1.1")
		told, before := 0, ""
		s, err := bootstrap.New(bootstrap.Options{
			Store: &boottest.Store{}, Exchanger: d, Schema: testSchema, Configure: always(oneServer()),
			Identify: func(context.Context, coap.Identity, lwm2m.Endpoint) (fleet.ID, error) { return "D-urn:a", nil },
			Finishing: func(_ context.Context, p coap.Peer, id fleet.ID) {
				told++
				if before = d.requests(); p.Identity().Name != "urn:a" || id != "D-urn:a" {
					t.Errorf("told of %v, %s", p.Identity(), id)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		from := peer{coap.Identity{Role: coap.RoleBootstrap, Name: "urn:a"}}
		s.ServeCoAP(ctx, &coap.Request{Peer: from, Method: coap.POST, Path: []string{"bs"}}).Sent()
		synctest.Wait()
		if told != 1 || !strings.HasSuffix(before, "PUT /1/0") {
			t.Errorf("told %d times, after %q", told, before)
		}
		res := s.ServeCoAP(ctx, &coap.Request{Peer: from, Method: coap.GET, Path: []string{"bspack"}})
		if !res.Code.IsSuccess() || told != 2 {
			t.Errorf("pack: %s, told %d times", res.Code, told)
		}
		stop()
		<-ended
	})
}
