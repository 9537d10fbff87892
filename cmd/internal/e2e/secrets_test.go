package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// canaryOfBeta stands in an image that Beta has for devices that come.
const canaryOfBeta = "CANARY-OF-BETA"

// A release is what the tests look at in a release.
type release struct{ ID, Class string }

// releaseAtBeta adds the image, approved. Devices take it before they enrol.
func (w *world) releaseAtBeta(t *testing.T) (r release) {
	t.Helper()
	image := make([]byte, 4<<10)
	_, _ = rand.Read(image) // never fails
	err := w.beta.do(t.Context(), http.MethodPost, "/api/v1/releases", map[string]any{
		"name": "for those who come", "image": append(image, canaryOfBeta...), "version": "2.0.0",
		"vendor": "steward.example", "class": "simulated", "sequence": 5, "approve": true,
	}, &r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// updateFirst takes all decisions: at Beta, with an update before the enrolment.
func (w *world) updateFirst(t *testing.T) {
	t.Helper()
	w.incoming = map[string]any{"update_first": true}
	_ = w.decide(t.Context()) // Beta may be down
}

// holds reports whether a secret stands in raw, as it is or as a part of base64.
func holds(raw []byte, secret string) bool {
	if bytes.Contains(raw, []byte(secret)) {
		return true
	}
	for shift, skip := range []int{0, 2, 3} { // characters that depend on what stands before
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		if bytes.Contains(raw, []byte(text[skip:(shift+len(secret))/3*4])) {
			return true
		}
	}
	return false
}

// TestT13UpdateServer is T13 of the transfer protocol (§9), its second half: a thief with
// a copy of the factory key asks the new provider's update server before anything is
// agreed, while the device is READY, when the transfer was cancelled, and after the
// device has moved. He never gets the image.
func TestT13UpdateServer(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newCalmWorld(t, 1)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	r, d, thief := w.releaseAtBeta(t), newDesk(t), w.factoryFiles(t, w.names[0])
	d.roots(t, w.beta)
	ask := func(when, want string) {
		t.Helper()
		for _, path := range []string{"/update?c=" + r.Class + "&s=1", "/update/" + r.ID, "/" + r.ID} {
			eventually(t, waitLimit, when, func() error { // the client gives up early
				text, _ := d.try(t, "coap-client-openssl", "-c", thief.certFile, "-j", thief.keyFile, "-C", "root.pem",
					"-B", "5", "-b", "1024", w.beta.uri()+path)
				if strings.Contains(text, canaryOfBeta) || len(text) > 2000 {
					t.Errorf("%s, %s: %d bytes of answer", when, path, len(text))
				}
				if path[1] == 'u' && strings.Contains(path, "?") && !strings.Contains(text, want) {
					return fmt.Errorf("%q, want %s", text, want)
				}
				return nil
			})
		}
	}
	ask("before anything is agreed", "")
	w.draftFrom(t, time.Now().Add(time.Hour))
	eventually(t, handOverLimit, "READY", func() error {
		w.updateFirst(t)
		if len(w.devices.happened("ready")) == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	ask("READY", "5.03")
	list, err := w.alpha.transfers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("transfers %v, %v", list, err)
	}
	w.alpha.post(t, "/api/v1/transfers/"+list[0].ID+"/commands", map[string]string{"action": "cancel", "reason": "test"})
	eventually(t, handOverLimit, "the device stays", func() error {
		if len(w.devices.happened("expired")) == 0 {
			return fmt.Errorf("it is READY")
		}
		return nil
	})
	ask("cancelled", "")
	w.draft(t)
	eventually(t, handOverLimit, "the device moves", func() error {
		w.updateFirst(t)
		if len(w.devices.happened("finalised")) == 0 {
			return fmt.Errorf("it does not")
		}
		return w.settled(t.Context())
	})
	ask("FINALISED", "5.03")
}

// TestT16PrimeCanaries is T16′ of the transfer protocol (§9): a device takes an image of
// the new provider's, and the new provider is gone before it can enrol there. It is the
// former one's again, and nothing of the image is in its memory, nor in all that the
// former provider keeps.
func TestT16PrimeCanaries(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 1)
	w.devices.args = append(w.devices.args, "--reboot", "5s")
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.releaseAtBeta(t)
	w.draft(t)
	state := filepath.Join(w.dir, "state")
	var installs, had atomic.Bool
	w.devices.onEvent(func(e event) {
		switch {
		case e.Kind == "installing":
			installs.Store(true)
		case e.Kind == "rebooted" && installs.CompareAndSwap(true, false): // with the image
			raw, err := readAll(state)
			had.Store(err == nil && holds(raw, canaryOfBeta))
			_ = w.beta.cmd.Process.Kill()
		}
	})
	eventually(t, handOverLimit, "the device turns back", func() error {
		w.updateFirst(t)
		if len(w.devices.happened("falling_back")) == 0 {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	<-w.beta.ended
	w.devices.onEvent(nil)
	w.beta.restart(t)
	w.handOver(t, nil)
	if at := w.ends(t)[w.names[0]]; at != w.alpha.name {
		t.Fatalf("the device ended at %q", at)
	}
	if !had.Load() {
		t.Error("the image never was in the device's memory")
	}
	for what, dir := range map[string]string{"the device's memory": state, "Alpha's data": w.alpha.data} {
		raw := dump(t, dir)
		if holds(raw, canaryOfBeta) {
			t.Errorf("%s contains the canary", what)
		}
		if left, _ := operational(raw, "Beta"); len(left) > 0 {
			t.Errorf("%s contains %d operational keys of Beta's time", what, len(left))
		}
	}
}
