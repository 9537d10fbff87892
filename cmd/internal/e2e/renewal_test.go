package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// enrolment is what the tests look at in the enrolment of a device.
type enrolment struct {
	State, Reason, Certificate string
	NotAfter                   time.Time `json:"not_after"`
}

func (w *world) enrolment(t *testing.T, name string) (e enrolment) {
	t.Helper()
	w.alpha.get(t, "/api/v1/devices/ep:"+name+"/enrolment", &e)
	return e
}

// lived says that devices' certificates live for d, with the usual scaled timers.
func lived(d string, more ...string) []string {
	return append(append([]string{"--certificate-lifetime", d}, scaled...), more...)
}

// TestRenewalOverLifetimes: devices whose certificates live for seconds renew over
// several lifetimes, asked by the server, through kill -9, and never lose their
// registration.
func TestRenewalOverLifetimes(t *testing.T) {
	slow(t)
	t.Parallel()
	const devices, lifetimes = 8, 4
	w := newWorldWith(t, devices, lived("20s"), scaled)
	w.devices.run(t)
	w.online(t, w.alpha)
	begin, killed := time.Now(), false
	for time.Since(begin) < lifetimes*20*time.Second {
		if err := poll(t.Context(), time.Second, func() error { return errors.New("go on") }); t.Context().Err() != nil {
			t.Fatal(err)
		}
		all, err := w.alpha.devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range w.names {
			if all[name].State != "online" {
				t.Fatalf("%s is %s after %v", name, all[name].State, time.Since(begin))
			}
		}
		if !killed && time.Since(begin) > 30*time.Second {
			killed = true
			w.alpha.kill()
			w.alpha.restart(t)
		}
	}
	for name, n := range w.devices.times("renewed") {
		if n < lifetimes-1 {
			t.Errorf("%s renewed %d times in %d lifetimes", name, n, lifetimes)
		}
	}
	for _, name := range w.names {
		if n := w.devices.times("registered")[name]; n != 1 {
			t.Errorf("%s registered anew: %d times", name, n)
		}
		if n := w.devices.times("enrolled")[name]; n != 1 {
			t.Errorf("%s enrolled %d times, by its factory certificate", name, n)
		}
	}
	if asked := w.alpha.metric(t, `steward_enrolment_events_total{event="ask"}`); asked < devices {
		t.Errorf("%v devices were asked since the restart; the others renewed by themselves", asked)
	}
	if n := w.alpha.metric(t, `steward_enrolments{state="expired"}`); n != 0 {
		t.Errorf("%v certificates expired", n)
	}
}

// TestExpiredWhileAsleep: devices that were off when their certificates ended are
// told of, and come back by their factory certificates with the keys they had.
func TestExpiredWhileAsleep(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorldWith(t, 2, lived("10s"), scaled)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.devices.stop(t)
	for _, name := range w.names {
		eventually(t, onlineLimit, name+" has expired", func() error {
			e := w.enrolment(t, name)
			if e.State != "expired" || !strings.Contains(e.Reason, "factory certificate") {
				return fmt.Errorf("%+v", e)
			}
			return nil
		})
	}
	var refused *problem
	err := w.alpha.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+w.names[0]+"/enrolment",
		map[string]string{"action": "renew"}, nil)
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("renewal of a certificate that ended: %v, want 409", err)
	}
	var overview struct {
		RenewalsMissed int `json:"renewals_missed"`
	}
	w.alpha.get(t, "/api/v1/overview", &overview)
	if overview.RenewalsMissed != len(w.names) {
		t.Errorf("renewals_missed = %d, want %d", overview.RenewalsMissed, len(w.names))
	}
	w.devices.run(t)
	for _, name := range w.names {
		eventually(t, onlineLimit, name+" is back", func() error {
			if e := w.enrolment(t, name); e.State == "expired" || !e.NotAfter.After(time.Now()) {
				return fmt.Errorf("%+v", e)
			}
			if n := w.devices.times("enrolled")[name]; n != 2 {
				return fmt.Errorf("enrolled %d times, want twice", n)
			}
			return nil
		})
	}
	w.online(t, w.alpha)
}

// TestRenewNow: an operator has a device renew.
func TestRenewNow(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 1)
	w.devices.run(t)
	w.online(t, w.alpha)
	name := w.names[0]
	before := w.enrolment(t, name)
	w.alpha.post(t, "/api/v1/devices/ep:"+name+"/enrolment", map[string]string{"action": "renew", "reason": "a test"})
	eventually(t, onlineLimit, "the device has renewed", func() error {
		if e := w.enrolment(t, name); e.State != "good" || e.Certificate == before.Certificate {
			return fmt.Errorf("%+v, before %+v", e, before)
		}
		return nil
	})
	var rows page[struct{ Action, Actor, Reason string }]
	w.alpha.get(t, "/api/v1/audit?action=enrolment.", &rows)
	var said strings.Builder
	for _, r := range rows.Items {
		said.WriteString(r.Action + " ")
		if r.Action == "enrolment.order" && (r.Reason != "a test" || !strings.HasPrefix(r.Actor, "operator:")) {
			t.Errorf("audit row %+v", r)
		}
	}
	if want := "enrolment.prove enrolment.succeed enrolment.ask enrolment.order enrolment.issue "; said.String() != want {
		t.Errorf("audit rows, the newest first: %s; want %s", said.String(), want)
	}
}

// TestExpiredGrace: where the operator allows it, a certificate that ended renews
// itself, by libcoap's client, and can do nothing else.
func TestExpiredGrace(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, maker := serve(t, "Alpha", lived("3s", "--expired-grace", "1h")...), newFactory(t)
	device := maker.device(t, "urn:dev:late")
	alpha.deliver(t, maker, device)
	d := newDesk(t)
	d.roots(t, alpha)
	request := func() string {
		d.run(t, "openssl", "req", "-new", "-key", device.keyFile, "-subj", "/CN="+device.endpoint, "-outform", "DER",
			"-out", "csr")
		return d.path("csr")
	}
	first, text := d.coap(t, device, 1024, alpha.uri()+"/est/sen", "-m", "post", "-t", "286", "-A", "287", "-f", request())
	if len(first) == 0 {
		t.Fatalf("sen: %s", text)
	}
	late := device
	late.certFile = maker.write(t, filepath.Base("late.pem"), "CERTIFICATE", first)
	_ = poll(t.Context(), 4*time.Second, func() error { return errors.New("not yet expired") })
	_, text = d.coap(t, late, 1024, alpha.uri()+"/rd?ep="+device.endpoint+"&lwm2m=1.1&lt=60", "-m", "post", "-v", "7")
	if !strings.Contains(text, "4.03") {
		t.Errorf("registration by a certificate that ended: %s, want 4.03", text)
	}
	_, text = d.coap(t, late, 1024, alpha.uri()+"/est/sen", "-m", "post", "-t", "286", "-A", "287", "-f", request(),
		"-v", "7")
	if !strings.Contains(text, "4.03") {
		t.Errorf("sen by a certificate that ended: %s, want 4.03", text)
	}
	second, text := d.coap(t, late, 1024, alpha.uri()+"/est/sren", "-m", "post", "-t", "286", "-A", "287", "-f", request())
	if len(second) == 0 {
		t.Errorf("sren within the grace: %s", text)
	}
}
