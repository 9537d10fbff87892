package trial_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/sim/trial"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// value reads a resource as text.
func (w *world) value(path string) string {
	w.t.Helper()
	ctx := w.t.Context()
	r, err := w.engine.Do(ctx, w.peer(), &coap.Request{
		Method: coap.GET, Path: strings.Split(path, "/"), Accept: coap.FormatID(codec.Text),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(r.Payload)
}

func (w *world) push(path, body string) coap.Code {
	w.t.Helper()
	return w.do(w.peer(), coap.PUT, path, int(codec.Opaque), []byte(body)).Code
}

func (w *world) wantValues(when string, want map[string]string) {
	w.t.Helper()
	for path, v := range want {
		if got := w.value(path); got != v {
			w.t.Errorf("%s: %s = %q, want %q", when, path, got, v)
		}
	}
}

// TestSoftware leads Software Management through its states.
func TestSoftware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Objects: []string{"9"}})
		w.start()
		time.Sleep(time.Second)
		for body, result := range map[string]string{
			"fail-storage": "50", "fail-memory": "51", "fail-integrity": "53", "fail-type": "54",
		} {
			w.push("9/0/2", body)
			w.wantValues(body, map[string]string{"9/0/7": "0", "9/0/9": result})
		}
		w.expect(coap.PUT, "9/0/3", "coap://a/b", coap.Changed)
		time.Sleep(time.Second)
		w.wantValues("URI of nothing", map[string]string{"9/0/7": "0", "9/0/9": "56"})
		w.expect(coap.PUT, "9/0/3", "coap://server.example/package", coap.Changed)
		time.Sleep(time.Second)
		w.wantValues("URI", map[string]string{"9/0/0": "3000 bytes", "9/0/7": "3", "9/0/9": "3"})
		w.expect(coap.POST, "9/0/4", "", coap.Changed)
		w.expect(coap.POST, "9/0/6", "", coap.Changed)
		w.expect(coap.POST, "9/0/4", "", coap.MethodNotAllowed)
		w.push("9/0/2", "fail-install")
		w.expect(coap.POST, "9/0/4", "", coap.Changed)
		w.wantValues("failed installation", map[string]string{"9/0/7": "3", "9/0/9": "58"})
		if code := w.push("9/0/2", "another"); code != coap.MethodNotAllowed {
			t.Errorf("a package upon another = %s", code)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Objects: []string{"9"}})
		w.start()
		time.Sleep(time.Second)
		w.push("9/0/2", "program")
		w.wantValues("delivered", map[string]string{"9/0/0": "7 bytes", "9/0/7": "3", "9/0/9": "3"})
		w.expect(coap.POST, "9/0/10", "", coap.MethodNotAllowed)
		w.expect(coap.POST, "9/0/4", "", coap.Changed)
		w.wantValues("installed", map[string]string{"9/0/7": "4", "9/0/9": "2", "9/0/12": "0"})
		w.expect(coap.POST, "9/0/10", "", coap.Changed)
		w.wantValues("activated", map[string]string{"9/0/12": "1"})
		w.expect(coap.POST, "9/0/11", "", coap.Changed)
		w.wantValues("deactivated", map[string]string{"9/0/12": "0"})
		w.expect(coap.POST, "9/0/6", "", coap.Changed)
		w.wantValues("removed", map[string]string{"9/0/7": "0", "9/0/9": "0"})
	})
}

func TestFirmware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, trial.Options{Objects: []string{"5", "7", "19", "16"}})
		w.start()
		time.Sleep(time.Second)
		w.expect(coap.POST, "5/0/2", "", coap.MethodNotAllowed)
		for body, result := range map[string]string{
			"fail-storage": "2", "fail-memory": "3", "fail-integrity": "5", "fail-type": "6",
		} {
			w.push("5/0/0", body)
			w.wantValues(body, map[string]string{"5/0/3": "0", "5/0/5": result})
		}
		for uri, result := range map[string]string{
			"coap://a/b": "7", "coap://a": "7", "no URI": "7", "https://a/b": "9",
		} {
			w.expect(coap.PUT, "5/0/1", uri, coap.Changed)
			time.Sleep(time.Second)
			w.wantValues(uri, map[string]string{"5/0/3": "0", "5/0/5": result})
		}
		w.mu.Lock()
		dialled := len(w.dialled)
		w.down = true
		w.mu.Unlock()
		w.expect(coap.PUT, "5/0/1", "coap://elsewhere/package", coap.Changed)
		time.Sleep(time.Second)
		w.wantValues("nobody there", map[string]string{"5/0/3": "0", "5/0/5": "4"})
		w.expect(coap.PUT, "5/0/1", "coap://server.example/package", coap.Changed) // by the association that is open
		w.wantValues("downloading", map[string]string{"5/0/5": "0"})
		time.Sleep(time.Second)
		w.wantValues("URI", map[string]string{"5/0/3": "2", "5/0/5": "0"})
		w.mu.Lock()
		if w.down = false; len(w.dialled) != dialled+1 {
			t.Errorf("%d associations, want %d", len(w.dialled), dialled+1)
		}
		w.mu.Unlock()
		w.push("5/0/0", "fail-install")
		w.expect(coap.POST, "5/0/2", "", coap.Changed)
		time.Sleep(2 * time.Second)
		w.wantValues("failed installation", map[string]string{"5/0/3": "2", "5/0/5": "8", "3/0/3": "1.0"})
		w.expect(coap.POST, "5/0/10", "", coap.Changed)
		w.wantValues("cancelled", map[string]string{"5/0/3": "0", "5/0/5": "10"})
		w.push("5/0/0", strings.Repeat("x", 5000))
		w.wantValues("downloaded", map[string]string{"5/0/3": "2", "5/0/5": "0"})
		w.expect(coap.POST, "5/0/2", "", coap.Changed)
		w.wantValues("updating", map[string]string{"5/0/3": "3"})
		time.Sleep(5 * time.Second)
		w.wantValues("updated", map[string]string{"5/0/3": "0", "5/0/5": "1", "3/0/3": "5000 bytes"})

		w.expect(coap.POST, "7/0/6", "", coap.Changed)
		w.wantValues("collecting", map[string]string{"7/0/2": "0"})
		w.expect(coap.POST, "7/0/7", "", coap.Changed)
		w.wantValues("collected", map[string]string{"7/0/2": "12"})
		if code := w.push("19/0/0/0", "data"); code != coap.Changed {
			t.Errorf("Write of /19/0/0/0 = %s", code)
		}
		created := w.do(w.peer(), coap.POST, "16", int(codec.TLV), []byte{0x88, 0, 3, 0x41, 0, 'x'})
		if created.Code != coap.Created || strings.Join(created.LocationPath, "/") != "16/1" {
			t.Errorf("Create = %s %v", created.Code, created.LocationPath)
		}
		w.expect(coap.POST, "16", "", coap.BadRequest)
		w.expect(coap.DELETE, "16/1", "", coap.Deleted)
		w.expect(coap.POST, "3", "", coap.MethodNotAllowed)
		w.expect(coap.DELETE, "3/0", "", coap.MethodNotAllowed)
		w.expect(coap.GET, "0/1", "", coap.Unauthorized)
	})
}
