package api_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"steward/lwm2m/machine/machinetest"
	"steward/web"
	"steward/web/account"
	"steward/web/api"
	"steward/web/contract"
	"steward/web/webtest"
)

// A contractDoc is openapi.yaml with its operations by method and path.
type contractDoc struct {
	doc        *contract.Document
	operations map[string]operation // "GET /api/v1/me"
}

type operation struct {
	role        web.Role
	schema      *contract.Schema // of the answer; nil if it is no JSON
	conditional bool             // it takes If-Match
	keyed       bool             // it takes Idempotency-Key
}

func readContract(t *testing.T) contractDoc {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := contract.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c := contractDoc{doc, map[string]operation{}}
	for _, o := range doc.Operations {
		mine := operation{role: web.Role(o.Role)}
		for _, p := range o.Parameters {
			mine.conditional = mine.conditional || p.Name == "If-Match"
			mine.keyed = mine.keyed || p.Name == "Idempotency-Key"
		}
		for _, status := range []int{http.StatusCreated, http.StatusOK} {
			if a, _ := o.Answer(status); a.Status == status && a.Types["application/json"] != nil {
				mine.schema = a.Types["application/json"]
			}
		}
		c.operations[o.Method+" "+o.Path] = mine
	}
	return c
}

// routes calls each with every route of the router, its pattern as the contract
// writes it, and a path that the fake knows.
func routes(t *testing.T, s *site, each func(method, pattern, path string)) {
	t.Helper()
	fill := strings.NewReplacer("{id}", webtest.ID, "{device}", webtest.ID, "{code}", "not_found",
		"series/{path}", "series/3303/0/5700", "clients/{endpoint}/{path}", "clients/"+webtest.ID+"/3/0/15",
		"{endpoint}", webtest.ID,
		"{path}", "3/0", "{operation}", webtest.ID,
		"{name}", "x", "{letter}", "7", "object-definitions/{object}", "object-definitions/32001",
		"attestation-rules/{tag}", "attestation-rules/lamp",
		"{use}", "server", "{version}", "1.0", "{object}", "3303", "{resource}", "5700")
	err := chi.Walk(s.routes, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		pattern = strings.ReplaceAll(pattern, "/*", "/{path}")
		each(method, pattern, fill.Replace(pattern))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestContractHasAllRoutes(t *testing.T) {
	c := readContract(t)
	routes(t, newSite(t, &webtest.Fake{}), func(method, pattern, _ string) {
		key := method + " " + pattern
		if _, ok := c.operations[key]; !ok {
			t.Errorf("openapi.yaml lacks %s", key)
		}
		delete(c.operations, key)
	})
	for key := range c.operations {
		t.Errorf("openapi.yaml has %s, the router has not", key)
	}
}

// TestRights asks each route as everybody; x-role of the contract says who may.
var update = flag.Bool("update", false, "rewrite golden texts in testdata")

func TestRights(t *testing.T) {
	matrix := webtest.Matrix{Title: "Who may use which route of the REST API"}
	c := readContract(t)
	s := newSite(t, &webtest.Fake{Text: "x"})
	s.stream.Close() // its route answers at once
	routes(t, s, func(method, pattern, path string) {
		need := c.operations[method+" "+pattern].role
		let := map[web.Role]bool{}
		for _, role := range append([]web.Role{web.RoleNone}, web.Roles()...) {
			before := len(s.fake.Calls())
			w := s.do(t, method, path, role, "")
			want := role.Includes(need)
			refused := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
			let[role] = !refused
			if refused == want {
				t.Errorf("%s %s as %q = %d, want allowed %v", method, path, role, w.Code, want)
			}
			if refused && (role == web.RoleNone) != (w.Code == http.StatusUnauthorized) {
				t.Errorf("%s %s as %q = %d: 401 is for those who are not signed in", method, path, role, w.Code)
			}
			if refused && len(s.fake.Calls()) > before {
				t.Errorf("%s %s as %q was refused but reached the service", method, path, role)
			}
		}
		matrix.Add(method, pattern, func(r web.Role) bool { return let[r] })
	})
	machinetest.Golden(t, "testdata/rights.md", matrix.Markdown(), *update)
}

// TestForgedRequests has other sites make an administrator's browser call each route
// of the router: nothing is done.
func TestForgedRequests(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	s.stream.Close()
	link, err := s.accounts.Invite(t.Context(), web.System(), "root", web.RoleAdmin, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.accounts.SignIn(t.Context(), link, account.Visit{}, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	routes(t, s, func(method, pattern, path string) {
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(bodies[method+" "+pattern]))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("If-Match", "*")
			r.Header.Set(header[0], header[1])
			r.AddCookie(&http.Cookie{Name: "steward_t", Value: secret})
			before, w := len(s.fake.Calls()), httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if method != http.MethodGet && w.Code != http.StatusForbidden {
				t.Errorf("%s %s with %v = %d, want 403", method, pattern, header, w.Code)
			}
			if len(s.fake.Calls()) != before {
				t.Errorf("%s %s with %v reached a service", method, pattern, header)
			}
		}
	})
}

// bodies are what the routes that take one get.
var bodies = map[string]string{
	"POST /api/v1/sign-in-links":                   `{"name":"bob","role":"viewer"}`,
	"POST /api/v1/people":                          `{"name":"ann","role":"viewer"}`,
	"PUT /api/v1/people/{name}":                    `{"role":"operator"}`,
	"POST /api/v1/people/{name}/commands":          `{"action":"link"}`,
	"POST /api/v1/tokens":                          `{"name":"ci"}`,
	"POST /api/v1/devices":                         `{"endpoint":"x","tags":["a"]}`,
	"POST /api/v1/devices/{id}/operations":         `{"op":"read","path":"/3/0"}`,
	"PUT /api/v1/devices/{id}/lwm2m/{path}":        `{"values":[{"path":"/3/0/15","value":"UTC"}]}`,
	"POST /api/v1/devices/{id}/lwm2m/{path}":       `{"values":[{"path":"/3/0/15","value":"UTC"}]}`,
	"POST /api/v1/ca/factory-certificates":         `{"items":[{"certificate":"AA==","key_origin":"device"}]}`,
	"POST /api/v1/factory-authorities":             `{"certificate":"AA=="}`,
	"PUT /api/v1/devices/{id}/attestation":         `{"key":"AA==","references":[]}`,
	"PUT /api/v1/devices/{id}/trace":               `{"seconds":60}`,
	"POST /api/v1/object-definitions":              `{"document":"x"}`,
	"PUT /api/v1/series-rules/{object}/{resource}": `{"days":7}`,
	"PUT /api/v1/attestation-rules/{tag}":          `{"every_seconds":3600}`,
	"POST /api/v1/devices/{id}/retire":             `{"reason":"x"}`,
	"POST /api/v1/devices/{id}/erase":              `{"endpoint":"x","reason":"x"}`,
	"POST /api/v1/devices/{id}/tags":               `{"add":["a"]}`,
	"POST /api/v1/bulk-actions":                    `{"action":"tag","tag":"a","devices":["d"]}`,
	"POST /api/v1/bulk-actions/{id}/commands":      `{"action":"approve"}`,
	"POST /api/v1/bulk-actions/preview":            `{"action":"tag","tag":"a","devices":["d"]}`,
	"POST /api/v1/views":                           `{"name":"a","query":"tag=a"}`,
	"PUT /api/v1/groups/{name}":                    `{"kind":"dynamic","filter":"tag=a"}`,
	"POST /api/v1/groups/{name}/members":           `{"add":["d"]}`,
	"PUT /api/v1/observation-templates/{name}":     `{"observations":[{"paths":["/3/0/9"],"attributes":["pmin=1"]}]}`,
	"PUT /api/v1/bootstrap-profiles/{name}":        `{"mode":"psk","short_id":1,"lifetime":300}`,
	"PUT /api/v1/devices/{id}/keys/{use}":          `{"identity":"x","key":"AAAAAAAAAAAAAAAAAAAAAA=="}`,
	"POST /api/v1/devices/{id}/enrolment":          `{"action":"renew","reason":"x"}`,
	"POST /api/v1/ca/certificates/{id}/revoke":     `{"reason":"superseded","comment":"x"}`,
	"POST /api/v1/ca/upstream/{id}/certificate":    `{"certificate":"x"}`,
	"POST /api/v1/ca/requests/{id}/commands":       `{"action":"approve","request":"00"}`,
	"POST /api/v1/ca/upstream/{id}/commands":       `{"action":"retry"}`,
	"POST /api/v1/ca/passwords":                    `{"name":"x"}`,
	"POST /api/v1/releases":                        `{"name":"n","image":"AA=="}`,
	"POST /api/v1/releases/{id}/commands":          `{"action":"approve"}`,
	"PUT /api/v1/releases/{id}/bill":               `{}`,
	"POST /api/v1/vulnerability-lists":             `{}`,
	"POST /api/v1/campaigns":                       `{"name":"n","release":"r","delivery":"push","devices":["d"]}`,
	"POST /api/v1/campaigns/preview":               `{"name":"n","release":"r","delivery":"push","devices":["d"]}`,
	"POST /api/v1/campaigns/{id}/abort":            `{"reason":"x"}`,
	"POST /api/v1/campaigns/{id}/commands":         `{"action":"pause"}`,
	"POST /api/v1/transfers":                       `{"partner":"p","devices":["d"],"latest":"2026-03-02T10:00:00Z"}`,
	"POST /api/v1/transfers/{id}/mandate":          `{"mandate":"0g=="}`,
	"POST /api/v1/transfers/{id}/commands":         `{"action":"submit"}`,
	"POST /api/v1/webhooks":                        `{"name":"n","url":"https://example.com/"}`,
	"PUT /api/v1/webhooks/{id}":                    `{"name":"n","url":"https://example.com/"}`,
	"POST /api/v1/webhooks/{id}/commands":          `{"action":"pause"}`,
	"POST /api/v1/partners":                        `{"identity":{}}`,
	"PUT /api/v1/partners/{id}/limits":             `{"devices":5,"reason":"x"}`,
	"PUT /api/v1/partners/{id}/state":              `{"state":"suspended","reason":"x"}`,
	"POST /api/v1/restoration/commands":            `{"action":"open","all":true}`,
	"PUT /api/v1/log-level":                        `{"level":"debug"}`,

	"PUT /compat/leshan/api/clients/{endpoint}/{path}": `{"id":15,"kind":"singleResource","type":"STRING","value":"UTC"}`,
}

// TestAnswersFitContract compares the members of real answers, with the lists
// full and empty, with the schemas.
func TestAnswersFitContract(t *testing.T) {
	c := readContract(t)
	for _, empty := range []bool{false, true} {
		s := newSite(t, &webtest.Fake{Text: "x", Empty: empty})
		s.stream.Close()
		routes(t, s, func(method, pattern, path string) {
			key := method + " " + pattern
			schema := c.operations[key].schema
			if schema == nil {
				return
			}
			w := s.do(t, method, path, web.RoleAdmin, bodies[key])
			none := http.StatusNotFound
			if strings.HasPrefix(path, api.LeshanPrefix) {
				none = http.StatusBadRequest
			}
			if empty && w.Code == none {
				return // one of a list that is empty
			}
			if w.Code/100 != 2 {
				t.Errorf("%s = %d\n%s", key, w.Code, w.Body)
				return
			}
			var answer any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Errorf("%s: %v", key, err)
				return
			}
			for _, fault := range c.doc.Check(schema, answer) {
				t.Errorf("%s: %s", key, fault)
			}
		})
	}
	w := newSite(t, &webtest.Fake{}).do(t, http.MethodGet, "/api/v1/me", web.RoleNone, "")
	var problem any
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatal(err)
	}
	for _, fault := range c.doc.Check(c.doc.Schemas["Problem"], problem) {
		t.Errorf("problem document: %s", fault)
	}
}

func TestContractIsServed(t *testing.T) {
	s := newSite(t, &webtest.Fake{})
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := s.do(t, http.MethodGet, "/api/v1/openapi.yaml", web.RoleViewer, "")
	if !slices.Equal(w.Body.Bytes(), text) || w.Header().Get("Content-Type") != "application/yaml" {
		t.Errorf("GET openapi.yaml = %d, %s, %d bytes", w.Code, w.Header().Get("Content-Type"), w.Body.Len())
	}
}
