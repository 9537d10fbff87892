package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/web"
	"steward/web/contract"
)

// contractRequests are sent in each test run; STEWARD_CONTRACT=N sends others.
const contractRequests = 6000

// TestContract sends requests to the whole REST API over real services and a real
// database: as every role, with parameters and bodies that the contract allows, and
// such as it does not. Nothing may be answered with an error of ours, nor in a way
// that the contract does not describe; what the contract forbids must be refused.
func TestContract(t *testing.T) {
	n := contractRequests
	if text := os.Getenv("STEWARD_CONTRACT"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	d := newDriver(t, t.TempDir(), "Alpha")
	d.populate(t)
	seed := uint64(1)
	if n != contractRequests {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	d.rng = rand.New(rand.NewPCG(seed, 0))
	for _, o := range d.doc.Operations { // each at least so often, as each role
		for range 2 {
			for _, role := range roles {
				d.once(t, o, role)
			}
		}
	}
	for range n {
		d.once(t, d.doc.Operations[d.rng.IntN(len(d.doc.Operations))], roles[d.rng.IntN(len(roles))])
	}
	d.checkLog(t)
	t.Logf("%d requests, answers by status: %v", d.sent, d.statuses)
	for _, o := range d.doc.Operations {
		if !d.succeeded[o.ID] {
			t.Logf("never succeeded: %s", o.ID)
		}
	}
}

var roles = append([]web.Role{web.RoleNone}, web.Roles()...)

// FuzzContract is TestContract for as long as somebody lets it run.
func FuzzContract(f *testing.F) {
	f.Add(uint64(7), uint16(0))
	d := newDriver(f, f.TempDir(), "Alpha")
	d.populate(f)
	f.Fuzz(func(t *testing.T, seed uint64, which uint16) {
		d.rng = rand.New(rand.NewPCG(seed, uint64(which)))
		for range 10 {
			d.once(t, d.doc.Operations[int(which)%len(d.doc.Operations)], roles[d.rng.IntN(len(roles))])
		}
	})
}

// A driver sends requests and judges the answers.
type driver struct {
	doc     *contract.Document
	rng     *rand.Rand
	handler http.Handler
	grant   func() error // gives each role its token, which somebody may have ended
	log     *lines
	secrets []string            // that answers told, or requests
	pool    map[string][]string // what answers called things, by the parameter's name

	sent      int
	statuses  map[int]int
	succeeded map[string]bool
}

// checkLog looks in all that was logged, at the level of debugging, for what was told
// to clients once: tokens, links, passwords and secrets of webhooks.
func (d *driver) checkLog(tb testing.TB) {
	tb.Helper()
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	if len(d.secrets) < 10 || d.log.all.Len() < 10_000 {
		tb.Errorf("%d secrets to look for in %d bytes of log: too few", len(d.secrets), d.log.all.Len())
	}
	for _, secret := range d.secrets {
		if bytes.Contains(d.log.all.Bytes(), []byte(secret)) {
			tb.Errorf("the log has a secret: %s", secret)
		}
	}
}

// lines are what was logged, and of that the errors.
type lines struct {
	mu       sync.Mutex
	all, buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(b, []byte("level=ERROR")) {
		_, _ = l.buf.Write(b)
	}
	return l.all.Write(b)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func newDriver(tb testing.TB, dir, name string) *driver {
	tb.Helper()
	o := config.Default()
	o.Name, o.RESTRate = name, -1
	o.Data, o.Host, o.AllowTestRange, o.AllowNoSec = dir, "127.0.0.1", true, true
	o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "off"
	if name != "Alpha" { // no two providers have the same address
		o.Host = "127.0.0.2"
	}
	cfg, err := config.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	d := &driver{
		log: &lines{}, rng: rand.New(rand.NewPCG(1, 1)), pool: map[string][]string{},
		statuses: map[int]int{}, succeeded: map[string]bool{},
	}
	log := slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := app.New(context.Background(), cfg, log)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		if err := a.Close(); err != nil {
			tb.Error(err)
		}
	})
	d.grant = func() error {
		for _, role := range roles[1:] {
			if err := app.Grant(context.Background(), a, role, "token-"+string(role)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, role := range roles[1:] {
		d.secrets = append(d.secrets, "token-"+string(role))
	}
	d.secrets = append(d.secrets, "AAAAAAAAAAAAAAAAAAAAAA") // the key of a device that examples have
	if err := d.grant(); err != nil {
		tb.Fatal(err)
	}
	d.handler = app.Dashboard(a)
	text, err := os.ReadFile("../../../web/api/openapi.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	if d.doc, err = contract.Parse(text); err != nil {
		tb.Fatal(err)
	}
	return d
}

// populate makes one of what can be made without devices.
func (d *driver) populate(tb testing.TB) {
	tb.Helper()
	other := newDriver(tb, tb.TempDir(), "Beta").make(tb, "GET", "/identity", "")
	one := d.make(tb, "POST", "/devices", `{"endpoint":"one","tags":["a"]}`)["id"]
	release := d.make(tb, "POST", "/releases",
		`{"name":"r","version":"1","vendor":"acme","class":"lamp","image":"AAECAw=="}`)["id"]
	for _, row := range [][3]string{
		{"POST", "/devices", `{"endpoint":"two"}`},
		{"PUT", "/observation-templates/usual", `{"observations":[{"paths":["/3/0/9"],"attributes":["pmin=1"]}]}`},
		{"PUT", "/bootstrap-profiles/usual", `{"mode":"psk","short_id":1,"lifetime":300}`},
		{"PUT", "/series-rules/3303/5700", `{"days":7}`},
		{"PUT", "/groups/some", `{"kind":"dynamic","filter":"tag=a"}`},
		{"POST", "/ca/passwords", `{"name":"one"}`},
		{"PUT", fmt.Sprintf("/devices/%s/keys/server", one), `{"identity":"i","key":"AAAAAAAAAAAAAAAAAAAAAA=="}`},
		{"PUT", fmt.Sprintf("/releases/%s/bill", release), `{"bomFormat":"CycloneDX","specVersion":"1.6",` +
			`"components":[{"type":"library","name":"zlib","version":"1.2","purl":"pkg:generic/zlib@1.2"}]}`},
		{"POST", "/vulnerability-lists?name=osv", `[{"id":"CVE-1","affected":[{"package":{"ecosystem":"x","name":"zlib",` +
			`"purl":"pkg:generic/zlib"},"versions":["1.2"]}]}]`},
		{"POST", "/devices/" + fmt.Sprint(one) + "/operations", `{"op":"read","path":"/3/0/0","ttl":600}`},
		{"POST", "/partners", `{"identity":` + encode(other) + `}`},
	} {
		d.make(tb, row[0], row[1], row[2])
	}
	d.make(tb, "POST", fmt.Sprintf("/releases/%s/commands", release), `{"action":"approve"}`)
	d.make(tb, "POST", "/campaigns",
		fmt.Sprintf(`{"name":"c","release":%q,"delivery":"pull","devices":[%q]}`, release, one))
}

// make sends a request that succeeds, and returns the answer.
func (d *driver) make(tb testing.TB, method, path, body string) (out map[string]any) {
	tb.Helper()
	header := http.Header{}
	switch {
	case strings.HasSuffix(path, "/commands"):
		header.Set("If-Match", "*")
	case method == http.MethodPut:
		header.Set("If-None-Match", "*")
	}
	header.Set("Prefer", "respond-async")
	w := d.send(tb, method, "/api/v1"+path, web.RoleAdmin, body, header)
	if w.Code/100 != 2 {
		tb.Fatalf("%s %s = %d\n%s", method, path, w.Code, w.Body)
	}
	d.learn("/api/v1"+path, w.Body.Bytes())
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// learn keeps how things are called, for the path parameters of later requests.
func (d *driver) learn(path string, body []byte) {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return
	}
	d.learnValue(strings.Split(strings.TrimPrefix(path, "/api/v1"), "/")[1], v)
}

func (d *driver) learnValue(of string, v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v[:min(len(v), 5)] {
			d.learnValue(of, item)
		}
	case map[string]any:
		for name, member := range v {
			text, ok := member.(string)
			switch {
			case ok && (name == "secret" || name == "url" && strings.Contains(text, "?link=")):
				if _, link, ok := strings.Cut(text, "link="); ok {
					text = link
				}
				d.secrets = append(d.secrets, text)
			case ok && (name == "id" || name == "name") && text != "":
				d.keep(of, text)
			case ok && len(text) < 64 && text != "":
				d.keep(name, text)
			case name == "items":
				d.learnValue(of, member)
			}
		}
	}
}

func (d *driver) keep(name, value string) {
	const most = 20
	if all := d.pool[name]; !slices.Contains(all, value) && len(all) < most {
		d.pool[name] = append(all, value)
	}
}

// once sends one request for an operation and judges the answer.
func (d *driver) once(tb testing.TB, o contract.Operation, role web.Role) {
	tb.Helper()
	q := d.request(o)
	w := d.send(tb, o.Method, q.target, role, q.body, q.header)
	d.sent++
	d.statuses[w.Code]++
	may := role.Includes(web.Role(o.Role))
	call := fmt.Sprintf("%s %s as %q\n%v\n%.2000s\n= %d %.2000s\n%s", o.Method, q.target, role, q.header, q.body, w.Code,
		w.Body, d.log.take())
	switch {
	case !may && w.Code != http.StatusForbidden && w.Code != http.StatusUnauthorized:
		tb.Errorf("allowed without the role %s: %s", o.Role, call)
	case w.Code/100 == 2 && q.fault != "":
		tb.Errorf("accepted with %s: %s", q.fault, call)
	case w.Code >= http.StatusInternalServerError && !excused(o, w):
		tb.Errorf("an error of ours: %s", call)
	}
	for _, fault := range d.judge(o, w) {
		if strings.Contains(q.target, "fields=") && strings.Contains(fault, " lacks ") {
			continue // nobody wanted it
		}
		tb.Errorf("%s: %s", fault, call)
	}
	if w.Code == http.StatusUnauthorized && role != web.RoleNone {
		tb.Errorf("not known with a token: %s", call)
	}
	if strings.HasPrefix(o.Path, "/api/v1/tokens/") {
		if err := d.grant(); err != nil {
			tb.Fatal(err)
		}
	}
	if w.Code/100 == 2 {
		d.succeeded[o.ID] = true
		d.learn(o.Path, w.Body.Bytes())
	}
}

// excused reports whether an answer above 500 says something of others: of devices,
// of an external CA, of what the program was made without.
func excused(o contract.Operation, w *httptest.ResponseRecorder) bool {
	device := strings.HasPrefix(o.Path, "/api/v1/devices/{id}/")
	switch w.Code {
	case http.StatusBadGateway:
		return device
	case http.StatusGatewayTimeout:
		return device || isStream(o.Path)
	case http.StatusNotImplemented:
		return true
	case http.StatusServiceUnavailable: // too many watch, or an unknown device was asked
		return isStream(o.Path)
	default:
		return false
	}
}

// isStream reports whether what answers there ends only when nobody listens.
func isStream(path string) bool {
	return path == "/api/v1/events" || path == "/compat/leshan/api/event"
}

// judge returns how an answer differs from what the contract says of it.
func (d *driver) judge(o contract.Operation, w *httptest.ResponseRecorder) []string {
	a, ok := o.Answer(w.Code)
	kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	switch {
	case w.Code == http.StatusNotModified && w.Body.Len() == 0:
		return nil
	case !ok, a.Status == 0 && w.Code < http.StatusBadRequest:
		return []string{"a status that the contract does not have"}
	case len(a.Types) == 0 && w.Body.Len() == 0:
		return nil
	case err != nil:
		return []string{"no content type"}
	}
	schema, ok := a.Types[kind]
	if !ok {
		return []string{"a content type that the contract does not have: " + kind}
	}
	if schema == nil || !strings.HasSuffix(kind, "json") {
		return nil
	}
	var v any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		return []string{err.Error()}
	}
	return d.doc.Check(schema, v)
}

// patience is how long one request may take.
const patience = time.Minute

func (d *driver) send(
	tb testing.TB, method, target string, role web.Role, body string, header http.Header,
) *httptest.ResponseRecorder {
	tb.Helper()
	limit := patience
	if path, _, _ := strings.Cut(target, "?"); isStream(path) {
		limit = 50 * time.Millisecond // it ends only when nobody listens
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	maps.Copy(r.Header, header)
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if role != web.RoleNone {
		r.Header.Set("Authorization", "Bearer token-"+string(role))
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if limit == patience && ctx.Err() != nil {
		tb.Errorf("%s %s took longer than %v", method, target, patience)
	}
	return w
}
