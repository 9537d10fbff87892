package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/web"
	"steward/web/webtest"
)

// RFC 7240 §4.1, §4.3: who does not want to wait gets the address of the operation.
func TestPrefer(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	const dev = "/api/v1/devices/" + webtest.ID
	for _, row := range []struct {
		prefer string
		status int
	}{
		{"", http.StatusOK},
		{"wait=x", http.StatusOK},
		{"wait=-1", http.StatusOK},
		{"return=minimal", http.StatusOK},
		{"wait=10", http.StatusAccepted},
		{"wait=0", http.StatusAccepted},
		{"respond-async", http.StatusAccepted},
		{"respond-async, wait=5", http.StatusAccepted},
		{"wait=999999999", http.StatusAccepted},
	} {
		for _, request := range []struct{ method, path, body string }{
			{http.MethodPost, dev + "/operations", `{"op":"read","path":"/3/0/0"}`},
			{http.MethodGet, dev + "/lwm2m/3/0/0?source=device", ""},
			{http.MethodDelete, dev + "/lwm2m/3/0", ""},
		} {
			w := s.ask(t, request.method, request.path, request.body, row.prefer)
			at := w.Header().Get("Location")
			if w.Code != row.status || (at == dev+"/operations/"+webtest.ID) != (row.status == http.StatusAccepted) {
				t.Errorf("%s %s with Prefer: %s = %d at %q\n%s", request.method, request.path, row.prefer, w.Code, at, w.Body)
			}
		}
	}
}

// ask is do as an operator with a Prefer header.
func (s *site) ask(t *testing.T, method, path, body, prefer string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer token-"+string(web.RoleOperator))
	if prefer != "" {
		r.Header.Set("Prefer", prefer)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestOperationResources(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	const all = "/api/v1/devices/" + webtest.ID + "/operations"
	w := s.do(t, http.MethodGet, all+"?page_size=2", web.RoleViewer, "")
	if w.Code != http.StatusOK || w.Header().Get("Link") == "" || strings.Count(w.Body.String(), `"state":"queued"`) != 2 {
		t.Errorf("list = %d\n%s", w.Code, w.Body)
	}
	w = s.do(t, http.MethodGet, all+"/"+webtest.ID, web.RoleViewer, "")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"values":[{`) {
		t.Errorf("one = %d\n%s", w.Code, w.Body)
	}
	if w = s.do(t, http.MethodGet, all+"/none", web.RoleViewer, ""); w.Code != http.StatusNotFound {
		t.Errorf("none = %d", w.Code)
	}
	if w = s.do(t, http.MethodDelete, all+"/"+webtest.ID, web.RoleViewer, ""); w.Code != http.StatusForbidden {
		t.Errorf("cancel as viewer = %d", w.Code)
	}
	w = s.do(t, http.MethodDelete, all+"/"+webtest.ID, web.RoleOperator, "")
	calls := s.fake.Calls()
	if w.Code != http.StatusOK || len(calls) != 1 || calls[0].Service != "CancelOperation" || calls[0].Arg != webtest.ID {
		t.Errorf("cancel = %d, %+v", w.Code, calls)
	}
}

// How long an operation may wait is for who asks to say, within bounds.
func TestTTL(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	s := newSite(t, fake)
	const dev = "/api/v1/devices/" + webtest.ID
	for body, want := range map[string]int{
		`{"op":"read","path":"/3/0/0","ttl":60}`:      http.StatusOK,
		`{"op":"read","path":"/3/0/0","ttl":0}`:       http.StatusUnprocessableEntity,
		`{"op":"read","path":"/3/0/0","ttl":7776001}`: http.StatusUnprocessableEntity,
		`{"op":"read","path":"/3/0/0","ttl":"1h"}`:    http.StatusUnprocessableEntity,
	} {
		if w := s.ask(t, http.MethodPost, dev+"/operations", body, ""); w.Code != want {
			t.Errorf("%s = %d, want %d: %s", body, w.Code, want, w.Body)
		}
	}
	if w := s.ask(t, http.MethodPut, dev+"/lwm2m/1/0/1", `{"value":60,"ttl":90}`, ""); w.Code != http.StatusOK {
		t.Errorf("a write = %d: %s", w.Code, w.Body)
	}
	var got []time.Duration
	for _, c := range fake.Calls() {
		if op, ok := c.Arg.(web.Operation); ok {
			got = append(got, op.TTL)
		}
	}
	if !slices.Equal(got, []time.Duration{time.Minute, 90 * time.Second}) {
		t.Errorf("asked with %v", got)
	}
}

// A composite write may be of a device behind a gateway, but of one only.
func TestWriteCompositeBehind(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	s := newSite(t, fake)
	const at = "/api/v1/devices/" + webtest.ID + "/operations"
	const zone, clock = `{"path":"/d01/3/0/14","value":"Z"}`, `{"path":"/d01/3/0/15","value":"UTC"}`
	for body, want := range map[string]int{
		`{"op":"write_composite","values":[` + zone + `,` + clock + `]}`:                    200,
		`{"op":"write_composite","values":[` + zone + `,{"path":"/3/0/15","value":"UTC"}]}`: 422,
		`{"op":"write_composite","values":[{"path":"d01/3","value":"Z"}]}`:                  422,
		`{"op":"write","path":"/d01/3/0/14","value":"Z"}`:                                   200,
		`{"op":"write","path":"/d01/3/0/14","values":[{"path":"/3/0/14","value":"Z"}]}`:     422,
	} {
		if w := s.ask(t, http.MethodPost, at, body, ""); w.Code != want {
			t.Errorf("%s = %d, want %d: %s", body, w.Code, want, w.Body)
		}
	}
}
