package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// thousandLimit is what a thousand devices may take from one provider to the other, on a
// machine several times slower than ours.
const thousandLimit = 8 * time.Minute

// TestT22ThousandDevices is T22 of the transfer protocol (§9): two providers, each a
// process of its own, pin each other by their identity files, and hand a thousand
// devices of a third process over. Two people at two dashboards approve once each,
// nobody touches a device, and all devices are at one provider in the end.
func TestT22ThousandDevices(t *testing.T) {
	slow(t)
	const devices = 1000
	// A thousand devices share one machine: all of them must be given time.
	timers := []string{
		"--ack-timeout", "2s", "--grace", "15m", "--retry", "1s", "--poll", "500ms", "--rest-rate", "-1",
	}
	w, b := newWorldWith(t, devices, timers, timers), newBrowser(t)
	w.devices.args = []string{
		"device", "--json", "--state", filepath.Join(w.dir, "state"), "--no-sync", "--ack-timeout", "2s",
		"--handshake-timeout", "60s", "--retry", "1s", "--retry-max", "8s", filepath.Join(w.dir, "bundles"),
	}
	alice, bob := b.tab(t), b.tab(t)
	alice.signIn(t, w.alpha.link)
	bob.signIn(t, w.beta.link)
	alice.pin(t, w.alpha, w.beta)
	bob.pin(t, w.beta, w.alpha)
	w.devices.run(t)
	eventually(t, thousandLimit, "all devices are online at Alpha", func() error {
		pause(t, time.Second)
		var o struct{ Online int }
		if err := w.alpha.do(t.Context(), http.MethodGet, "/api/v1/overview", nil, &o); err != nil || o.Online != devices {
			return errors.Join(err, fmt.Errorf("%d are", o.Online))
		}
		return nil
	})

	began := time.Now()
	alice.open(t, "http://"+w.alpha.http+"/devices")
	alice.do(t, "choose all", chromedp.SetValue(chromedp.CSS("#choose select[name=scope]"), "all"))
	alice.submit(t, `button[formaction^="/transfers/new"]`)
	for range 3 { // partner, what leaves, review
		alice.submit(t, "main form button.primary")
	}
	alice.state(t, "DRAFT")
	alice.submit(t, `button[value=submit]`)
	bob.open(t, "http://"+w.beta.http+"/transfers")
	bob.waitText(t, handOverLimit, "#transfers", func(s string) bool { return strings.Contains(s, "info accepted") })
	bob.submit(t, `#transfers a[href^="/transfers/"]`)
	bob.approve(t, devices)
	alice.state(t, "OFFERED")
	alice.open(t, eval[string](t, alice, "location.href"))
	alice.approve(t, devices)
	eventually(t, thousandLimit, "the transfer is complete", func() error {
		pause(t, time.Second)
		list, err := w.alpha.transfers(t.Context())
		if err == nil && (len(list) != 1 || list[0].State != "COMPLETE") {
			err = fmt.Errorf("%+v", list)
		}
		return err
	})
	t.Logf("%d devices moved in %v", devices, time.Since(began).Round(time.Second))
	alice.state(t, "COMPLETE")
	bob.state(t, "COMPLETE")
	alice.shoot(t, "transfer-thousand-alpha")
	bob.shoot(t, "transfer-thousand-beta")
	w.allAt(t, began, devices)
}

// pin gives one provider the identity file of another, as people do.
func (p *tab) pin(t *testing.T, at, other *provider) {
	t.Helper()
	var identity json.RawMessage
	other.get(t, "/api/v1/identity", &identity)
	p.open(t, "http://"+at.http+"/partners")
	p.do(t, "identity file", chromedp.SetValue(chromedp.CSS("textarea[name=identity]"), string(identity)))
	p.submit(t, `form[action="/partners"] button.primary`)
	if text := p.text(t, "main"); !strings.Contains(text, other.name) {
		t.Fatalf("partners of %s:\n%s", at.name, text)
	}
}

// allAt checks, by what both providers say, that all devices are at Beta and nowhere
// else, and by both audits that two approvals moved them and nobody's hand.
func (w *world) allAt(t *testing.T, began time.Time, devices int) {
	t.Helper()
	approvals := 0
	for _, p := range []*provider{w.alpha, w.beta} {
		want, live := "left", 0
		if p == w.beta {
			want, live = "online", devices
		}
		ids := map[string]bool{}
		for _, d := range all[device](t, p, "/api/v1/devices?format=ndjson") {
			ids[d.ID] = true
			if d.State != want {
				t.Errorf("%s is %s at %s, want %s", d.Endpoint, d.State, p.name, want)
			}
		}
		if len(ids) != devices {
			t.Errorf("%s knows %d devices, want %d", p.name, len(ids), devices)
		}
		certificates := all[struct{ ID string }](t, p, "/api/v1/ca/certificates?kind=operational&state=live&format=ndjson")
		if len(certificates) != live {
			t.Errorf("%d devices have live certificates of %s, want %d", len(certificates), p.name, live)
		}
		for _, r := range all[struct {
			At                     time.Time
			Actor, Action, Subject string
		}](t, p, "/api/v1/audit/export") {
			if r.Action == "transfer.approve" {
				approvals++
			}
			if strings.HasPrefix(r.Actor, "operator:") && ids[r.Subject] && r.At.After(began) {
				t.Errorf("%s: %s did %s to one device", p.name, r.Actor, r.Action)
			}
		}
	}
	if approvals != 2 {
		t.Errorf("%d approvals, want 2", approvals)
	}
}

// all reads a list of a provider as a stream of lines.
func all[T any](t *testing.T, p *provider, path string) (out []T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", path, res.Status)
	}
	for d := json.NewDecoder(res.Body); ; {
		var one T
		switch err := d.Decode(&one); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		}
		out = append(out, one)
	}
}
