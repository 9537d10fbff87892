package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
)

// An outcome is what the tests look at in the outcome of an operation, with its
// values by path as JSON.
type outcome struct {
	values         map[string]string
	links, created string
}

// ask lets a provider ask a device for an operation.
func (p *provider) ask(t *testing.T, endpoint string, op map[string]any) (outcome, error) {
	t.Helper()
	var view struct {
		Values []struct {
			Path  string
			Value json.RawMessage
		}
		Links, Created string
	}
	err := p.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+endpoint+"/operations", op, &view)
	o := outcome{values: map[string]string{}, links: view.Links, created: view.Created}
	for _, v := range view.Values {
		o.values[v.Path] = string(v.Value)
	}
	return o, err
}

// must is ask for what the device must be able to do.
func (p *provider) must(t *testing.T, endpoint string, op map[string]any) outcome {
	t.Helper()
	o, err := p.ask(t, endpoint, op)
	if err != nil {
		t.Fatalf("%v: %v", op, err)
	}
	return o
}

// reads demands a value of a device.
func (p *provider) reads(t *testing.T, endpoint, path, want string) {
	t.Helper()
	if o := p.must(t, endpoint, map[string]any{"op": "read", "path": path}); o.values[path] != want {
		t.Errorf("read of %s at %s: %v, want %s", path, endpoint, o.values, want)
	}
}

// hears waits until the last battery level that p heard of a device is want.
func (p *provider) hears(t *testing.T, endpoint, want string) {
	t.Helper()
	eventually(t, onlineLimit, "battery level "+want, func() error {
		var out struct {
			Values []struct{ Value json.RawMessage }
		}
		err := p.do(t.Context(), http.MethodGet, "/api/v1/devices/ep:"+endpoint+"/lwm2m/3/0/9", nil, &out)
		if err == nil && (len(out.Values) != 1 || string(out.Values[0].Value) != want) {
			err = fmt.Errorf("%s", out.Values)
		}
		return err
	})
}

// put replaces a resource of the API.
func (p *provider) put(t *testing.T, path string, in any) {
	t.Helper()
	if err := p.do(t.Context(), http.MethodPut, path, in, nil); err != nil {
		t.Fatal(err)
	}
}

// post sends something to the API.
func (p *provider) post(t *testing.T, path string, in any) {
	t.Helper()
	if err := p.do(t.Context(), http.MethodPost, path, in, nil); err != nil {
		t.Fatal(err)
	}
}

// state waits until a device is in a state.
func (p *provider) state(t *testing.T, endpoint, want string) {
	t.Helper()
	eventually(t, onlineLimit, endpoint+" is "+want, func() error {
		devices, err := p.devices(t.Context())
		if err == nil && devices[endpoint].State != want {
			err = fmt.Errorf("%q", devices[endpoint].State)
		}
		return err
	})
}

// servePlain is serve with a listener without security, whose URI it returns.
func servePlain(t *testing.T, args ...string) (p *provider, uri string) {
	t.Helper()
	addr, err := freeAddr("0.0.0.0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	p = serve(t, "Alpha", append([]string{"--coap", ":" + port}, args...)...)
	return p, "coap://" + net.JoinHostPort(p.host, port)
}
