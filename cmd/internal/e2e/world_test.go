package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// onlineLimit is what devices get from start to registered.
const onlineLimit = 60 * time.Second

// A world is two providers who know each other, a factory, and devices that
// belong to the first.
type world struct {
	alpha, beta *provider
	dir         string // of bundles and the devices' state
	names       []string
	devices     *fleet
	moment      func(string)   // told of each decision, unless nil
	incoming    map[string]any // what approvals at Beta say beside
}

// newWorld makes n devices, delivered to Alpha, that do not run yet. Beta gets
// more arguments.
func newWorld(t *testing.T, n int, beta ...string) *world {
	t.Helper()
	return newWorldWith(t, n, scaled, append(beta, scaled...))
}

// newCalmWorld is newWorld where nobody falls back because the machine is slow.
func newCalmWorld(t *testing.T, n int) *world {
	t.Helper()
	calm := slices.Concat(scaled, []string{"--grace", "60s"})
	return newWorldWith(t, n, calm, calm)
}

// newWorldWith is newWorld with the arguments of both.
func newWorldWith(t *testing.T, n int, alpha, beta []string) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	w.alpha, w.beta = serve(t, "Alpha", alpha...), serve(t, "Beta", beta...)
	var settings json.RawMessage
	w.alpha.get(t, "/api/v1/device-settings", &settings)
	file := filepath.Join(w.dir, "settings.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	bundles := filepath.Join(w.dir, "bundles")
	factory := start(t, "factory", &tail{}, "ca", "factory", "--data", filepath.Join(w.dir, "factory"),
		"--out", bundles, "--count", fmt.Sprint(n), "--provider", file)
	<-factory.ended
	if factory.err != nil {
		t.Fatalf("ca factory: %v\n%s", factory.err, factory.log)
	}
	root := w.permanent(t)
	for _, p := range []*provider{w.alpha, w.beta} {
		p.post(t, "/api/v1/factory-authorities", map[string]any{"certificate": root})
	}
	w.deliver(t, bundles)
	w.devices = &fleet{logs: &tail{}, args: []string{
		"device", "--json", "--state", filepath.Join(w.dir, "state"), "--ack-timeout", "200ms",
		"--flight-interval", "200ms", "--handshake-timeout", "2s", "--retry", "300ms", "--retry-max", "1s",
		"--keep-alive", "500ms", "--battery", "1s", "--tick", "200ms", "--log-level", "info", bundles,
	}}
	showOnFailure(t, "devices", w.devices.logs)
	return w
}

// deliver announces the devices of all bundles to Alpha.
func (w *world) deliver(t *testing.T, bundles string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(bundles, "*.device.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("bundles: %v, %v", files, err)
	}
	for _, file := range files {
		b := readBundle(t, file)
		w.names = append(w.names, b.Endpoint)
		w.alpha.post(t, "/api/v1/devices", map[string]any{
			"certificate": base64.StdEncoding.EncodeToString([]byte(b.Factory.Chain[0])),
		})
	}
}

// A bundle is what the tests look at in a device's file.
type bundle struct {
	Endpoint string
	Factory  struct {
		Key   string
		Chain []string
	}
}

func readBundle(t *testing.T, file string) (b bundle) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// factoryFiles takes the factory key out of a device's bundle, as a thief would.
func (w *world) factoryFiles(t *testing.T, name string) factoryDevice {
	t.Helper()
	b := readBundle(t, filepath.Join(w.dir, "bundles", name+".device.json"))
	dir := t.TempDir()
	d := factoryDevice{
		endpoint: name, certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"),
	}
	for file, text := range map[string]string{d.certFile: strings.Join(b.Factory.Chain, ""), d.keyFile: b.Factory.Key} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// introduce lets the providers pin each other's identity files.
func (w *world) introduce(t *testing.T) {
	t.Helper()
	for _, pair := range [][2]*provider{{w.alpha, w.beta}, {w.beta, w.alpha}} {
		var identity json.RawMessage
		pair[0].get(t, "/api/v1/identity", &identity)
		pair[1].post(t, "/api/v1/partners", map[string]any{"identity": identity})
	}
}

// online waits until all devices are registered at p.
func (w *world) online(t *testing.T, p *provider) {
	t.Helper()
	w.onlineWithin(t, p, onlineLimit)
}

func (w *world) onlineWithin(t *testing.T, p *provider, limit time.Duration) {
	t.Helper()
	eventually(t, limit, "devices are online at "+p.name, func() error {
		devices, err := p.devices(t.Context())
		if err != nil {
			return err
		}
		for _, name := range w.names {
			if d := devices[name]; d.State != "online" {
				return fmt.Errorf("%s is %q", name, d.State)
			}
		}
		return nil
	})
}

// A device is what the tests look at in a device of a provider.
type device struct {
	ID, Endpoint, State, Firmware string
	Tags                          []string
}

// devices returns a provider's devices by endpoint.
func (p *provider) devices(ctx context.Context) (map[string]device, error) {
	out := map[string]device{}
	var list page[device]
	err := p.do(ctx, http.MethodGet, "/api/v1/devices?page_size=200", nil, &list)
	for _, d := range list.Items {
		out[d.Endpoint] = d
	}
	return out, err
}

// A transfer is what the tests look at in a transfer.
type transfer struct {
	ID, Direction, State string
	Ended                bool
	Total, Done, Failed  int
	Actions              []string
}

// transfers returns a provider's transfers, the newest first.
func (p *provider) transfers(ctx context.Context) ([]transfer, error) {
	var list page[transfer]
	err := p.do(ctx, http.MethodGet, "/api/v1/transfers", nil, &list)
	return list.Items, err
}

// draft drafts a transfer of all devices to Beta, which may begin at once.
func (w *world) draft(t *testing.T) {
	t.Helper()
	w.draftFrom(t, time.Now())
}

// permanent is the certificate of the devices' factory.
func (w *world) permanent(t *testing.T) []byte {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(w.dir, "bundles", "permanent-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// draftFrom is draft for a window that begins at another time.
func (w *world) draftFrom(t *testing.T, earliest time.Time) {
	t.Helper()
	w.draftWith(t, earliest, nil)
}

// draftWith is draftFrom with more that is said in the draft.
func (w *world) draftWith(t *testing.T, earliest time.Time, more map[string]any) {
	t.Helper()
	earliest = earliest.UTC().Truncate(time.Second)
	var partners page[struct{ ID, Name string }]
	w.alpha.get(t, "/api/v1/partners", &partners)
	i := slices.IndexFunc(partners.Items, func(p struct{ ID, Name string }) bool { return p.Name == w.beta.name })
	if i < 0 {
		t.Fatalf("partners of Alpha: %+v", partners.Items)
	}
	devices, err := w.alpha.devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(w.names))
	for _, name := range w.names {
		ids = append(ids, devices[name].ID)
	}
	draft := map[string]any{
		"partner": partners.Items[i].ID, "devices": ids, "earliest": earliest, "latest": earliest.Add(time.Hour),
	}
	maps.Copy(draft, more)
	w.alpha.post(t, "/api/v1/transfers", draft)
}

// decide takes, at each provider, the decisions that wait for a person: submit at
// the outgoing one, approve at both, resume where failures paused the commits. A provider that is down is asked later.
func (w *world) decide(ctx context.Context) error {
	var errs []error
	for _, p := range []*provider{w.alpha, w.beta} {
		list, err := p.transfers(ctx)
		errs = append(errs, err)
		for _, x := range list {
			for _, action := range []string{"submit", "approve", "resume"} {
				if !slices.Contains(x.Actions, action) {
					continue
				}
				command := map[string]any{"action": action, "reason": "test"}
				if action == "approve" && p == w.beta {
					maps.Copy(command, w.incoming)
				}
				err := p.do(ctx, http.MethodPost, "/api/v1/transfers/"+x.ID+"/commands", command, nil)
				if err == nil && w.moment != nil {
					w.moment(action + " at " + p.name)
				}
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
