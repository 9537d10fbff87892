package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
)

// TestAssociationsSurvive stops a provider, and kills it, while it looks after
// devices: they go on without a handshake, the provider can ask each of them,
// and what it observed it observes again.
func TestAssociationsSurvive(t *testing.T) {
	slow(t)
	t.Parallel()
	const devices = 20
	w := newWorld(t, devices)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.operate(t, w.names[0], "observe", "/3/0/9")
	for _, c := range []struct {
		how string
		end func()
	}{
		{"SIGTERM", func() { w.alpha.stop(t) }},
		{"kill -9", func() { w.alpha.kill() }},
		{"kill -9 again", func() { w.alpha.kill() }},
		{"SIGTERM after kill -9", func() { w.alpha.stop(t) }},
	} {
		before := w.value(t, w.names[0], "/3/0/9")
		c.end()
		w.alpha.restart(t)
		if n := w.metric(t, w.alpha, "steward_dtls_restored"); n != devices {
			t.Errorf("%s: %v associations restored, want %d", c.how, n, devices)
		}
		for _, name := range w.names { // at once, whether it has spoken or not
			if err := w.alpha.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+name+"/operations",
				map[string]string{"op": "read", "path": "/3/0/0"}, nil); err != nil {
				t.Errorf("%s: read of %s: %v", c.how, name, err)
			}
		}
		eventually(t, onlineLimit, c.how+": the observation lives on", func() error {
			if now := w.value(t, w.names[0], "/3/0/9"); now == before {
				return fmt.Errorf("value is still %s", now)
			}
			return nil
		})
		if n := w.metric(t, w.alpha, `steward_dtls_handshakes_total{outcome="completed"}`); n != 0 {
			t.Errorf("%s: %v handshakes, want none", c.how, n)
		}
	}
}

// metric returns a value of a provider's /metrics.
func (w *world) metric(t *testing.T, p *provider, name string) float64 {
	t.Helper()
	return p.metric(t, name)
}

// metric returns a value of /metrics.
func (p *provider) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, text, err := fetch(t.Context(), "http://"+p.http+"/metrics", p.token)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in /metrics", name)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
