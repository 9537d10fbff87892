package e2e_test

import "testing"

// TestStreamsOverKill: libcoap's client registers by TCP, the server is killed,
// knows the device when it is back, and takes it again.
func TestStreamsOverKill(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha := serve(t, "Alpha", "--coap-tcp", ":5683", "--allow-nosec")
	d := newDesk(t)
	uri := "coap+tcp://" + alpha.host + ":5683/rd?ep=streamed&lt=300&lwm2m=1.1&b=T"
	for range 2 {
		d.run(t, "coap-client-notls", "-m", "post", "-t", "40", "-e", "</1/0>,</3/0>", "-B", "10", uri)
		registered(t, alpha, "T")
		alpha.kill()
		alpha.restart(t)
		registered(t, alpha, "T")
	}
}

// registered checks that the device is registered with a binding, and not
// connected, for libcoap's client has left.
func registered(t *testing.T, p *provider, binding string) {
	t.Helper()
	all, err := p.devices(t.Context())
	if err != nil || all["streamed"].ID == "" {
		t.Fatalf("devices %v, %v", all, err)
	}
	var detail struct {
		Registration struct{ Binding, Transport string }
	}
	if err := p.do(t.Context(), "GET", "/api/v1/devices/"+all["streamed"].ID, nil, &detail); err != nil {
		t.Fatal(err)
	}
	if detail.Registration.Binding != binding {
		t.Errorf("registration %+v, want binding %s", detail.Registration, binding)
	}
}
