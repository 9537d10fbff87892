package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestT21Killed is T21 of the transfer protocol (§9), its first half: a certificate is
// revoked, and the provider killed at once and started again. Its device's association
// is gone and it stays out; all else that the provider said stays said.
func TestT21Killed(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 2)
	w.devices.run(t)
	w.online(t, w.alpha)
	kept, revoked := w.names[0], w.names[1]
	w.operate(t, kept, "observe", "/3/0/9")
	ids := w.live(t, w.alpha, revoked)
	if len(ids) != 1 {
		t.Fatalf("live certificates of %s: %v", revoked, ids)
	}
	w.alpha.post(t, "/api/v1/ca/certificates/"+ids[0]+"/revoke", map[string]string{"reason": "keyCompromise"})
	root := fetchRoot(t, w.alpha)

	w.alpha.kill()
	w.alpha.restart(t)
	if again := fetchRoot(t, w.alpha); again != root {
		t.Error("the CA is another one after kill -9")
	}
	w.answers(t, w.alpha, kept)
	before := w.value(t, kept, "/3/0/9")
	eventually(t, onlineLimit, "the observation lives on", func() error {
		if now := w.value(t, kept, "/3/0/9"); now == before {
			return fmt.Errorf("value is still %s", now)
		}
		return nil
	})
	if len(w.live(t, w.alpha, kept)) != 1 {
		t.Error("the device enrolled again, want its certificate to do")
	}

	// Who was revoked stays out, and is told so at each attempt.
	before = fmt.Sprint(len(refusals(t, w.alpha)))
	eventually(t, onlineLimit, "the revoked device is refused", func() error {
		if now := fmt.Sprint(len(refusals(t, w.alpha))); now == before {
			return errors.New("no refusal")
		}
		return nil
	})
	err := w.alpha.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+revoked+"/operations",
		map[string]string{"op": "read", "path": "/3/0/0"}, nil)
	if err == nil {
		t.Error("the revoked device answers after kill -9")
	}
}

// TestDevicesKilled kills the devices and starts them again: they are the same.
func TestDevicesKilled(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 2)
	w.devices.run(t)
	w.online(t, w.alpha)
	before := w.live(t, w.alpha, w.names[0])
	w.devices.kill()
	w.devices.run(t)
	for _, name := range w.names {
		w.answers(t, w.alpha, name)
	}
	if after := w.live(t, w.alpha, w.names[0]); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("certificates before %v, after %v, want the same", before, after)
	}
}

// operate asks a device of Alpha for an operation, or fails t.
func (w *world) operate(t *testing.T, name, op, path string) {
	t.Helper()
	w.alpha.post(t, "/api/v1/devices/ep:"+name+"/operations", map[string]string{"op": op, "path": path})
}

// answers waits until a device answers a read at p.
func (w *world) answers(t *testing.T, p *provider, name string) {
	t.Helper()
	eventually(t, onlineLimit, name+" answers at "+p.name, func() error {
		return p.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+name+"/operations",
			map[string]string{"op": "read", "path": "/3/0/0"}, nil)
	})
}

// value returns what Alpha heard last of a resource.
func (w *world) value(t *testing.T, name, path string) string {
	t.Helper()
	var out struct {
		Values []struct{ Value any }
	}
	w.alpha.get(t, "/api/v1/devices/ep:"+name+"/lwm2m"+path, &out)
	return fmt.Sprint(out.Values)
}

func fetchRoot(t *testing.T, p *provider) string {
	t.Helper()
	_, der, err := fetch(t.Context(), "http://"+p.pki+"/issuer/root.cer", "")
	if err != nil {
		t.Fatal(err)
	}
	return der
}
