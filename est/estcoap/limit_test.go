package estcoap_test

import (
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// TestTooManyRequests holds that a limit is told as RFC 8516 has it.
func TestTooManyRequests(t *testing.T) {
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now, func(o *est.Options) {
		o.Limits = est.Limits{Burst: 2, Interval: 90 * time.Second}
	})
	factory := esttest.NewFactory(t, clock.Now)
	device := esttest.NewDevice(t, factory, endpoint)
	esttest.Grant(t, ca, factory, device)
	server, err := estcoap.NewServer(estcoap.ServerOptions{CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	r := &coap.Request{
		Method: coap.POST, Path: []string{"est", "sen"}, ContentFormat: coap.FormatID(estcoap.FormatPKCS10),
		Payload: esttest.CSR(t, esttest.Key(t), endpoint),
		Peer:    peer{coap.Identity{Role: coap.RoleFactory, Certificate: device.Factory, Name: endpoint}},
	}
	for i, want := range []coap.Code{coap.ServiceUnavailable, coap.ServiceUnavailable, coap.TooManyRequests} {
		out := server.ServeCoAP(t.Context(), r)
		if out.Code != want {
			t.Fatalf("request %d: %s %s, want %s", i, out.Code, out.Payload, want)
		}
		if age, _ := out.MaxAge.Seconds(); want == coap.TooManyRequests && age != 90 {
			t.Errorf("Max-Age %d, want 90", age)
		}
	}
}
