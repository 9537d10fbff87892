package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"steward/lwm2m"
	"steward/objects/registry"
	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
	"steward/web/api"
	"steward/web/once"
	"steward/web/once/oncetest"
	"steward/web/webtest"
)

// schema knows three resources.
type schema struct{}

func (schema) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	kinds := map[[2]uint16]lwm2m.Kind{
		{1, 1}: lwm2m.KindInteger, {3, 15}: lwm2m.KindString, {5, 0}: lwm2m.KindOpaque,
	}
	k, ok := kinds[[2]uint16{object, resource}]
	return lwm2m.ResourceInfo{Kind: k}, ok
}

// A site is the API over fakes.
type site struct {
	fake     *webtest.Fake
	accounts *account.Accounts
	stream   *web.Stream
	routes   chi.Router
	handler  http.Handler
	ready    error
	api      *api.API
	replies  oncetest.Memory
	rate     int
	now      func() time.Time
}

func newSite(t *testing.T, fake *webtest.Fake) *site {
	t.Helper()
	s := &site{
		rate: -1, now: func() time.Time { return webtest.Noon }, fake: fake, stream: &web.Stream{},
		accounts: account.New(account.Options{Stores: &accounttest.Memory{}}),
	}
	for _, role := range web.Roles() {
		if err := s.accounts.SetToken(t.Context(), string(role), role, "token-"+string(role), webtest.Noon); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.accounts.Invite(t.Context(), web.System(), "x", web.RoleViewer, webtest.Noon); err != nil {
		t.Fatal(err)
	}
	s.use(t, fake.Services())
	return s
}

// use puts services in place of those of the fake.
func (s *site) use(t *testing.T, services web.Services) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	now := s.now
	keeper, err := once.New(once.Options{Store: &s.replies, Run: "test", Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New(api.Options{
		Once: keeper, Services: services, Door: account.Door{Accounts: s.accounts, Instance: "t", Now: now}, Stream: s.stream,
		Schema: schema{}, Registry: registry.Default(), BaseURL: "http://127.0.0.1:8080", Now: now, Log: log, Rate: s.rate,
		Ready:   func(context.Context) error { return s.ready },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.api = a
	s.routes = a.Routes()
	s.handler = web.Stack(web.StackOptions{Log: log, Now: now}, s.routes)
}

// do sends one request as the bearer of a token of that role. A body goes as JSON. It
// asks for a change of whatever there is, or is not.
func (s *site) do(t *testing.T, method, target string, role web.Role, body string) *httptest.ResponseRecorder {
	t.Helper()
	if method == http.MethodGet {
		return s.send(t, method, target, role, body)
	}
	w := s.send(t, method, target, role, body, "If-Match", "*")
	if w.Code == http.StatusPreconditionFailed {
		w = s.send(t, method, target, role, body, "If-None-Match", "*")
	}
	return w
}

// send is do with headers of one's own, name by value.
func (s *site) send(
	t *testing.T, method, target string, role web.Role, body string, headers ...string,
) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if role != web.RoleNone {
		r.Header.Set("Authorization", "Bearer token-"+string(role))
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestOperations(t *testing.T) {
	const dev = "/api/v1/devices/" + webtest.ID
	execute := web.Operation{Kind: web.OpExecute, Path: lwm2m.NewPath(3, 0, 4)}
	withArguments := execute
	withArguments.Arguments = "0='x'"
	read := web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3, 0, 0)}
	lifetime := lwm2m.NewPath(1, 0, 1)
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		want                     web.Operation // when it is to reach the service
	}{
		{"read", "POST", dev + "/operations", `{"op":"read","path":"/3/0/0"}`, 200, read},
		{
			"write a number", "POST", dev + "/operations", `{"op":"write","path":"/1/0/1","value":60}`, 200,
			write(web.OpWrite, lifetime, lifetime, lwm2m.Integer(60)),
		},
		{
			"write several", "POST", dev + "/operations",
			`{"op":"update","path":"/1/0","values":[{"path":"/1/0/1","value":60}]}`, 200,
			write(web.OpUpdate, lwm2m.NewPath(1, 0), lifetime, lwm2m.Integer(60)),
		},
		{
			"write with a type of one's own", "POST", dev + "/operations",
			`{"op":"write","path":"/9/0/1","values":[{"path":"/9/0/1","kind":"unsigned","value":18446744073709551615}]}`, 200,
			write(web.OpWrite, lwm2m.NewPath(9, 0, 1), lwm2m.NewPath(9, 0, 1), lwm2m.Unsigned(1<<64-1)),
		},
		{
			"execute", "POST", dev + "/operations", `{"op":"execute","path":"/3/0/4","arguments":"0='x'"}`, 200,
			withArguments,
		},
		{"read a node", "GET", dev + "/lwm2m/3/0/0?source=device", "", 200, read},
		{
			"write a node", "PUT", dev + "/lwm2m/3/0/15", `{"value":"UTC"}`, 200,
			write(web.OpWrite, lwm2m.NewPath(3, 0, 15), lwm2m.NewPath(3, 0, 15), lwm2m.String("UTC")),
		},
		{
			"write opaque in base64", "PUT", dev + "/lwm2m/5/0/0", `{"value":"AQI="}`, 200,
			write(web.OpWrite, lwm2m.NewPath(5, 0, 0), lwm2m.NewPath(5, 0, 0), lwm2m.Opaque([]byte{1, 2})),
		},
		{"execute a node", "POST", dev + "/lwm2m/3/0/4", "", 200, execute},
		{
			"create", "POST", dev + "/lwm2m/1", `{"values":[{"path":"/1/2/1","value":5}]}`, 200,
			write(web.OpCreate, lwm2m.NewPath(1), lwm2m.NewPath(1, 2, 1), lwm2m.Integer(5)),
		},
		{"delete", "DELETE", dev + "/lwm2m/1/2", "", 200, web.Operation{Kind: web.OpDelete, Path: lwm2m.NewPath(1, 2)}},

		{"cache", "GET", dev + "/lwm2m/3/0", "", 200, web.Operation{}},
		{"cache of all", "GET", dev + "/lwm2m/", "", 200, web.Operation{}},
		{"bad source", "GET", dev + "/lwm2m/3?source=moon", "", 422, web.Operation{}},
		{"bad path", "GET", dev + "/lwm2m/3/x", "", 422, web.Operation{}},
		{"bad op", "POST", dev + "/operations", `{"op":"erase","path":"/3"}`, 422, web.Operation{}},
		{"wrong type", "PUT", dev + "/lwm2m/1/0/1", `{"value":"many"}`, 422, web.Operation{}},
		{"fraction for an integer", "PUT", dev + "/lwm2m/1/0/1", `{"value":1.5}`, 422, web.Operation{}},
		{"no value", "PUT", dev + "/lwm2m/1/0/1", `{}`, 422, web.Operation{}},
		{"value elsewhere", "PUT", dev + "/lwm2m/1/0", `{"values":[{"path":"/2/0/1","value":1}]}`, 422, web.Operation{}},
		{"unknown field", "POST", dev + "/operations", `{"op":"read","path":"/3","x":1}`, 422, web.Operation{}},
		{"two bodies", "POST", dev + "/operations", `{"op":"read","path":"/3"}{}`, 422, web.Operation{}},
		{"value with a read", "POST", dev + "/operations", `{"op":"read","path":"/3","value":1}`, 422, web.Operation{}},
		{"unknown device", "POST", "/api/v1/devices/none/operations", `{"op":"read","path":"/3"}`, 404, web.Operation{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, &webtest.Fake{Text: "x"})
			w := s.do(t, row.method, row.path, web.RoleOperator, row.body)
			if w.Code != row.status {
				t.Fatalf("= %d, want %d\n%s", w.Code, row.status, w.Body)
			}
			calls := s.fake.Calls()
			if row.want.Kind == "" {
				return
			}
			if len(calls) != 1 || calls[0].By.Name != "operator" {
				t.Fatalf("calls = %+v, want one by operator", calls)
			}
			got, ok := calls[0].Arg.(web.Operation)
			if !ok || got.Kind != row.want.Kind || got.Path != row.want.Path || got.Arguments != row.want.Arguments ||
				len(got.Entries) != len(row.want.Entries) {
				t.Fatalf("operation = %+v, want %+v", calls[0].Arg, row.want)
			}
			for i := range got.Entries {
				if got.Entries[i] != row.want.Entries[i] {
					t.Errorf("entry = %+v, want %+v", got.Entries[i], row.want.Entries[i])
				}
			}
		})
	}
}

func write(kind web.OperationKind, at, leaf lwm2m.Path, v lwm2m.Value) web.Operation {
	return web.Operation{Kind: kind, Path: at, Entries: []lwm2m.Entry{{Path: leaf, Value: v}}}
}

func TestProblems(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	body := `{"op":"read","path":"/3/0/0"}`
	for _, row := range []struct {
		err    error
		status int
		code   string
		coap   string
	}{
		{web.Refused("4.04", "gone"), 502, "device_refused", "4.04"},
		{web.ErrUnreachable, 409, "unreachable", ""},
		{web.ErrTimeout, 504, "timeout", ""},
		{context.DeadlineExceeded, 504, "timeout", ""},
		{web.ErrNotBuilt, 501, "not_implemented", ""},
		{web.ErrUnavailable, 503, "unavailable", ""},
		{errors.New("secret detail"), 500, "internal", ""},
	} {
		s.fake.Err = row.err
		w := s.do(t, http.MethodPost, "/api/v1/devices/"+webtest.ID+"/operations", web.RoleOperator, body)
		var p web.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if w.Code != row.status || p.Status != row.status || p.Code != row.code || p.CoAP != row.coap ||
			len(p.TraceID) != 32 || w.Header().Get("Content-Type") != web.ProblemType {
			t.Errorf("%v = %d, %+v", row.err, w.Code, p)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v leaks:\n%s", row.err, w.Body)
		}
		if w := s.do(t, http.MethodGet, p.Type, web.RoleViewer, ""); w.Code != http.StatusOK {
			t.Errorf("GET %s = %d, want 200", p.Type, w.Code)
		}
	}
	for _, target := range []string{"/api/v1/none", "/api/v1/problems/none", "/api/v1/devices/none"} {
		w := s.do(t, http.MethodGet, target, web.RoleViewer, "")
		if kind := w.Header().Get("Content-Type"); w.Code != http.StatusNotFound || kind != web.ProblemType {
			t.Errorf("GET %s = %d %s, want 404", target, w.Code, kind)
		}
	}
	if w := s.do(t, http.MethodGet, "/api/v1/none", web.RoleNone, ""); w.Code != http.StatusUnauthorized {
		t.Errorf("GET /none as a stranger = %d, want 401", w.Code)
	}
	if w := s.do(t, http.MethodPatch, "/api/v1/devices", web.RoleAdmin, ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PATCH /devices = %d, want 405", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v1/sign-in-links", strings.NewReader("name=a"))
	r.Header.Set("Authorization", "Bearer token-admin")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a form = %d, want 415", w.Code)
	}
	large := `{"op":"read","path":"` + strings.Repeat("1", web.MaxForm) + `"}`
	w = s.do(t, http.MethodPost, "/api/v1/devices/"+webtest.ID+"/operations", web.RoleOperator, large)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("large body = %d, want 413", w.Code)
	}
}

func TestPaging(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	target, n := "/api/v1/devices?page_size=2&state=online", 0
	for range 4 {
		w := s.do(t, http.MethodGet, target, web.RoleViewer, "")
		var list web.List[web.Device]
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
			t.Fatalf("GET %s = %d, %v", target, w.Code, err)
		}
		n += len(list.Items)
		link := w.Header().Get("Link")
		if list.Next == "" {
			if link != "" {
				t.Errorf("last part has Link %q", link)
			}
			break
		}
		next, ok := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		if !ok || !strings.Contains(next, "state=online") || !strings.Contains(next, "page_token="+list.Next) {
			t.Fatalf("Link = %q", link)
		}
		target = next
	}
	if n != 5 {
		t.Errorf("items over all parts = %d, want 5", n)
	}
	for _, bad := range []string{"page_size=0", "page_size=201", "page_size=x", "page_token=x"} {
		w := s.do(t, http.MethodGet, "/api/v1/devices?"+bad, web.RoleViewer, "")
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("?%s = %d, want 422", bad, w.Code)
		}
	}
}

func TestSignInLink(t *testing.T) {
	s := newSite(t, &webtest.Fake{})
	w := s.do(t, http.MethodPost, "/api/v1/sign-in-links", web.RoleAdmin, `{"name":"bob","role":"operator"}`)
	var out struct{ URL string }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("= %d, %v", w.Code, err)
	}
	link, ok := strings.CutPrefix(out.URL, "http://127.0.0.1:8080/sign-in?link=")
	if !ok {
		t.Fatalf("url = %q", out.URL)
	}
	if c, err := s.accounts.CheckLink(t.Context(), link, webtest.Noon); err != nil || c.Role != web.RoleOperator {
		t.Errorf("CheckLink = %+v, %v", c, err)
	}
	for _, bad := range []string{`{"name":"bob","role":"king"}`, `{"name":"","role":"viewer"}`, `{}`, `[]`} {
		w := s.do(t, http.MethodPost, "/api/v1/sign-in-links", web.RoleAdmin, bad)
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s = %d, want 422", bad, w.Code)
		}
	}
}

func TestHealth(t *testing.T) {
	s := newSite(t, &webtest.Fake{})
	if w := s.do(t, http.MethodGet, "/readyz", web.RoleNone, ""); w.Code != http.StatusOK {
		t.Errorf("/readyz = %d", w.Code)
	}
	s.ready = errors.New("disk is full of secrets")
	w := s.do(t, http.MethodGet, "/readyz", web.RoleNone, "")
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "secrets") {
		t.Errorf("/readyz when not ready = %d\n%s", w.Code, w.Body)
	}
	if w := s.do(t, http.MethodGet, "/livez", web.RoleNone, ""); w.Code != http.StatusOK {
		t.Errorf("/livez = %d", w.Code)
	}
}

func TestTransferDecisionsNeedAdministrator(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	for _, row := range []struct {
		action string
		role   web.Role
		want   int
	}{
		{"approve", web.RoleOperator, 403},
		{"reject", web.RoleOperator, 403},
		{"submit", web.RoleOperator, 200},
		{"cancel", web.RoleOperator, 200},
		{"approve", web.RoleAdmin, 200},
		{"reject", web.RoleAdmin, 200},
		{"x", web.RoleAdmin, 422},
	} {
		body := `{"action":"` + row.action + `"}`
		w := s.do(t, http.MethodPost, "/api/v1/transfers/"+webtest.ID+"/commands", row.role, body)
		if w.Code != row.want {
			t.Errorf("%s as %s = %d, want %d", row.action, row.role, w.Code, row.want)
		}
	}
}

// TestReadingTheDeviceNeedsOperator covers what the route alone does not decide.
func TestReadingTheDeviceNeedsOperator(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	w := s.do(t, http.MethodGet, "/api/v1/devices/"+webtest.ID+"/lwm2m/3/0?source=device", web.RoleViewer, "")
	if w.Code != http.StatusForbidden {
		t.Errorf("= %d, want 403", w.Code)
	}
}

// counted is a service that notes how often a profile was written.
type counted struct {
	*webtest.Fake

	mu sync.Mutex // guards n
	n  int
}

// BootstrapProfiles implements web.Bootstraps.
func (c *counted) BootstrapProfiles(context.Context) ([]web.BootstrapProfile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []web.BootstrapProfile{{Name: "x", Lifetime: c.n}}, nil
}

// PutBootstrapProfile implements web.Bootstraps.
func (c *counted) PutBootstrapProfile(
	_ context.Context, _ web.Actor, p web.BootstrapProfile,
) (web.BootstrapProfile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return p, nil
}
