package ui_test

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rsc.io/qr"

	"steward/web"
	"steward/web/ui"
	"steward/web/webtest"
)

// settled tells where a provider is, and knows no device.
type settled struct {
	*webtest.Fake
}

func (settled) DeviceSettings(context.Context) (json.RawMessage, error) {
	const uri = `"coaps://alpha.example:5684"`
	return json.RawMessage(`{"server_uri":` + uri + `,"enroll_uri":` + uri + `}`), nil
}

func (settled) Device(_ context.Context, id string) (web.DeviceDetail, error) {
	if id == "ep:known" {
		return web.DeviceDetail{Device: web.Device{ID: webtest.ID, Endpoint: "known"}}, nil
	}
	return web.DeviceDetail{}, web.NotFound("device", id)
}

func newOnboardSite(t *testing.T) *site {
	t.Helper()
	fake := &webtest.Fake{Text: "x"}
	services := fake.Services()
	services.Settings, services.Devices = settled{fake}, settled{fake}
	return newSiteOf(t, fake, services)
}

const labelKey = "00112233445566778899aabbccddeeff"

func TestOnboardOne(t *testing.T) {
	s := newOnboardSite(t)
	c := s.session(t, web.RoleAdmin)
	form := url.Values{
		"security": {"psk"}, "endpoint": {"meter'1"}, "key": {labelKey}, "use": {"bootstrap"}, "tags": {"north\nold one\n"},
	}
	r := s.do(t, http.MethodPost, "/onboard", c, form)
	text := html.UnescapeString(r.Body.String())
	for _, want := range []string{
		labelKey, "0011 2233 4455",
		"steward device --bootstrap 'coaps://alpha.example:5684' --psk 'meter'\\''1:" + labelKey + "'",
		"<svg", "Whoever photographs it",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %q\n%s", want, text)
		}
	}
	calls := s.fake.Calls()
	if len(calls) != 2 || calls[0].Service != "ImportDevice" || calls[1].Service != "PutDeviceKey" {
		t.Fatalf("calls = %+v", calls)
	}
	d, _ := calls[0].Arg.(web.NewDevice)
	k, _ := calls[1].Arg.(web.NewDeviceKey)
	if d.Endpoint != "meter'1" || !slices.Equal(d.Tags, []string{"north", "old one"}) || k.Identity != "meter'1" ||
		k.Use != web.KeyBootstrap || len(k.Key) != 16 {
		t.Errorf("services got %+v and %+v", d, k)
	}
	form.Set("key", "") // one is made, another each time
	one, two := s.do(t, http.MethodPost, "/onboard", c, form), s.do(t, http.MethodPost, "/onboard", c, form)
	made := regexp.MustCompile(`<code class="wrap">([0-9a-f]{32})</code>`)
	first, second := made.FindString(one.Body.String()), made.FindString(two.Body.String())
	if first == "" || first == second {
		t.Errorf("keys made: %q, %q", first, second)
	}
	for _, bad := range []url.Values{
		{"security": {"psk"}, "endpoint": {"typed"}, "key": {"0011"}},
		{"security": {"psk"}, "endpoint": {"typed"}, "key": {"zz"}},
		{"security": {"certificate"}, "certificate": {"typed"}},
		{"security": {"nosec"}, "tags": {"typed"}},
	} {
		r := s.do(t, http.MethodPost, "/onboard", c, bad)
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), "typed") {
			t.Errorf("%v: %d, or what was typed is lost", bad, r.Code)
		}
	}
	operator := s.session(t, web.RoleOperator)
	n := len(s.fake.Calls())
	if r := s.do(t, http.MethodPost, "/onboard", operator, form); r.Code != http.StatusUnprocessableEntity {
		t.Errorf("an operator sets a key: %d", r.Code)
	}
	if len(s.fake.Calls()) != n {
		t.Error("what was refused reached the services")
	}
}

func TestOnboardList(t *testing.T) {
	s := newOnboardSite(t)
	operator, admin := s.session(t, web.RoleOperator), s.session(t, web.RoleAdmin)
	const list = "endpoint,security,key\nlamp,nosec,\nbad,psk,00\nknown,nosec,\nmeter,psk," + labelKey + "\n"
	post := func(who *http.Cookie, then string) string {
		form := url.Values{"text": {list}, "then": {then}}
		return s.do(t, http.MethodPost, "/onboard/list", who, form).Body.String()
	}
	check := post(operator, "check")
	for _, want := range []string{
		"2 of 4 lines can be imported", "needs the role security", "16 to 64 bytes", "known already", "bad,psk,00",
	} {
		if !strings.Contains(check, want) {
			t.Errorf("the check lacks %q\n%s", want, check)
		}
	}
	if len(s.fake.Calls()) != 0 {
		t.Errorf("a check does %+v", s.fake.Calls())
	}
	done := post(admin, "import")
	if !strings.Contains(done, "3 devices let in, 1 not") || len(s.fake.Calls()) != 4 ||
		!strings.Contains(done, "endpoint,security,key\nbad,psk,00\n</textarea>") {
		t.Errorf("the import says\n%s\nand did %+v", done, s.fake.Calls())
	}
	s.fake.Err = web.Invalid("endpoint", "belongs to another")
	refused := post(admin, "import")
	if !strings.Contains(refused, "0 devices let in, 4 not") || !strings.Contains(refused, "belongs to another") ||
		!strings.Contains(refused, labelKey+"\n</textarea>") {
		t.Errorf("a refused import says\n%s", refused)
	}
	labels := post(admin, "labels")
	if strings.Count(labels, "<svg viewBox=\"0 0 ") != 3 || !strings.Contains(labels, "key 0011 2233") {
		t.Errorf("labels:\n%s", labels)
	}
	for _, text := range []string{"", "colour\nred\n", "endpoint\n\xff\n"} {
		r := s.do(t, http.MethodPost, "/onboard/list", admin, url.Values{"text": {text}})
		if r.Code != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", text, r.Code)
		}
	}
}

func TestScan(t *testing.T) {
	s := newOnboardSite(t)
	c := s.session(t, web.RoleAdmin)
	post := func(label string) (int, string, string) {
		r := s.do(t, http.MethodPost, "/onboard/scan", c, url.Values{"label": {label}})
		return r.Code, r.Header().Get("Location"), r.Body.String()
	}
	if code, _, text := post("LWM2M:e=meter-1&k=" + labelKey + "&t=north"); code != http.StatusOK ||
		!strings.Contains(text, `value="`+labelKey+`"`) || !strings.Contains(text, `value="psk" checked`) {
		t.Errorf("a label: %d\n%s", code, text)
	}
	if code, _, text := post("LWM2M:e=meter-1"); code != http.StatusOK || !strings.Contains(text, "does not say all") {
		t.Errorf("a label with a name only: %d\n%s", code, text)
	}
	if code, to, _ := post("LWM2M:e=known"); code != http.StatusSeeOther || to != "/devices/"+webtest.ID {
		t.Errorf("the label of a known device: %d to %s", code, to)
	}
	if code, _, text := post("https://example.com/"); code != http.StatusUnprocessableEntity ||
		!strings.Contains(text, `value="https://example.com/"`) {
		t.Errorf("another code: %d\n%s", code, text)
	}
	page := s.do(t, http.MethodGet, "/onboard/scan", c, nil).Header().Get("Permissions-Policy")
	other := s.do(t, http.MethodGet, "/onboard", c, nil).Header().Get("Permissions-Policy")
	if !strings.Contains(page, "camera=(self)") || !strings.Contains(other, "camera=()") {
		t.Errorf("policies = %q, and elsewhere %q", page, other)
	}
}

// TestQR draws the path and compares each module with the code.
func TestQR(t *testing.T) {
	for _, text := range []string{"LWM2M:e=meter-1", "LWM2M:" + strings.Repeat("c", 1200)} {
		got, err := ui.NewQR(text)
		if err != nil {
			t.Fatal(err)
		}
		level := qr.M
		if len(text) > 400 {
			level = qr.L
		}
		want, err := qr.Encode(text, level)
		if err != nil {
			t.Fatal(err)
		}
		dark := map[[2]int]bool{}
		for run := range strings.SplitSeq(strings.TrimSuffix(got.Path, "z"), "z") {
			x, y, n := parseRun(t, run)
			for i := range n {
				dark[[2]int{x + i, y}] = true
			}
		}
		for y := range got.Size {
			for x := range got.Size {
				if dark[[2]int{x, y}] != want.Black(x-4, y-4) {
					t.Fatalf("module %d, %d of %d: dark %v", x, y, got.Size, dark[[2]int{x, y}])
				}
			}
		}
	}
	if _, err := ui.NewQR(strings.Repeat("x", 4000)); err == nil {
		t.Error("a text that no code holds has one")
	}
}

func parseRun(t *testing.T, run string) (x, y, n int) {
	t.Helper()
	m := regexp.MustCompile(`^M(\d+) (\d+)h(\d+)v1H(\d+)$`).FindStringSubmatch(run)
	if m == nil || m[1] != m[4] {
		t.Fatalf("a run of modules is %q", run)
	}
	number := func(text string) int {
		v, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return number(m[1]), number(m[2]), number(m[3])
}
