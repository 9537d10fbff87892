package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/web"
	"steward/web/webtest"
)

const leshanClient = "/compat/leshan/api/clients/" + webtest.ID

// TestLeshan compares statuses, words and what is asked of the device with those of
// ClientServlet of Eclipse Leshan 2.
func TestLeshan(t *testing.T) {
	const text, json = "text/plain;charset=utf-8", "application/json"
	at := lwm2m.NewPath(3, 0, 15)
	utc := lwm2m.String("UTC")
	arguments := web.Operation{Kind: web.OpExecute, Path: lwm2m.NewPath(3, 0, 4), Arguments: "0='x'"}
	for _, row := range []struct {
		name, method, path, kind, body string
		status                         int
		answer                         string        // part of it
		want                           web.Operation // when it is to reach the service
	}{
		{
			"read", "GET", "/3/0/0?timeout=7&format=TLV", "", "", 200, `"status":"CONTENT(205)"`,
			web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3, 0, 0)},
		},
		{
			"read instance", "GET", "/3/0/", "", "", 200, `"kind":"instance"`,
			web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3, 0)},
		},
		{"write text", "PUT", "/3/0/15", text, "UTC", 200, `"status":"CHANGED(204)"`, write(web.OpWrite, at, at, utc)},
		{
			"write JSON", "PUT", "/3/0/15", json, `{"id":15,"kind":"singleResource","type":"STRING","value":"UTC"}`, 200,
			`"success":true`, write(web.OpWrite, at, at, utc),
		},
		{"update", "PUT", "/3/0/15?replace=false", text, "UTC", 200, "CHANGED", write(web.OpUpdate, at, at, utc)},
		{"execute", "POST", "/3/0/4", text, "0='x'", 200, `"status":"CHANGED(204)"`, arguments},

		{"no number", "GET", "/3/x", "", "", 400, "Invalid request: ", web.Operation{}},
		{"no format", "GET", "/3?format=XML", "", "", 400, "Invalid request: ", web.Operation{}},
		{"wrong type", "PUT", "/1/0/1", text, "many", 400, "Invalid request: ", web.Operation{}},
		{"other body", "PUT", "/3/0/15", "text/html", "UTC", 400, "Invalid request: ", web.Operation{}},
		{"unknown device", "GET", "x/3/0", "", "", 400, "registered client with id '" + webtest.ID + "x'", web.Operation{}},

		{"discover", "GET", "/3/discover", "", "", 501, "of Leshan's API there are", web.Operation{}},
		{"composite", "GET", "/composite?paths=/3", "", "", 501, "of Leshan's API there are", web.Operation{}},
		{"observe", "POST", "/3/0/9/observe", "", "", 501, "of Leshan's API there are", web.Operation{}},
		{"create", "POST", "/3", json, "{}", 501, "of Leshan's API there are", web.Operation{}},
		{"write instance", "PUT", "/3/0", json, "{}", 501, "of Leshan's API there are", web.Operation{}},
		{"delete", "DELETE", "/3/0", "", "", 501, "of Leshan's API there are", web.Operation{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, &webtest.Fake{Text: "x"})
			r := httptest.NewRequestWithContext(t.Context(), row.method, leshanClient+row.path, strings.NewReader(row.body))
			r.Header.Set("Content-Type", row.kind)
			r.Header.Set("Authorization", "Bearer token-operator")
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != row.status || !strings.Contains(w.Body.String(), row.answer) {
				t.Fatalf("= %d %s, want %d with %q", w.Code, w.Body, row.status, row.answer)
			}
			calls := s.fake.Calls()
			if row.want.Kind == "" {
				if len(calls) > 0 {
					t.Errorf("calls = %+v", calls)
				}
				return
			}
			if len(calls) != 1 || calls[0].By.Name != "operator" {
				t.Fatalf("calls = %+v, want one by operator", calls)
			}
			got, _ := calls[0].Arg.(web.Operation)
			if got.Kind != row.want.Kind || got.Path != row.want.Path || got.Arguments != row.want.Arguments ||
				len(got.Entries) != len(row.want.Entries) || len(got.Entries) > 0 && got.Entries[0] != row.want.Entries[0] {
				t.Errorf("operation = %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestLeshanFailures(t *testing.T) {
	for _, row := range []struct {
		err    error
		status int
		answer string
	}{
		{
			web.Refused("4.04", "gone"), 200,
			`"status":"NOT_FOUND(404)","valid":true,"success":false,"failure":true,"errormessage":"gone"`,
		},
		{web.ErrTimeout, 504, "Request timeout"},
		{context.DeadlineExceeded, 504, "Request timeout"},
		{web.ErrUnreachable, 400, "no registered client with id"},
		{web.ErrForbidden, 403, "forbidden"},
		{web.ErrUnavailable, 503, "unavailable"},
	} {
		s := newSite(t, &webtest.Fake{Text: "x"})
		s.fake.Err = row.err
		w := s.do(t, http.MethodGet, leshanClient+"/3/0/0", web.RoleOperator, "")
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.answer) {
			t.Errorf("%v = %d %s", row.err, w.Code, w.Body)
		}
	}
	s := newSite(t, &webtest.Fake{Text: "x", Empty: true})
	if w := s.do(t, http.MethodGet, leshanClient, web.RoleViewer, ""); w.Code != http.StatusBadRequest {
		t.Errorf("not registered = %d %s", w.Code, w.Body)
	}
	w := s.do(t, http.MethodGet, "/compat/leshan/api/security/clients", web.RoleViewer, "")
	if w.Code != http.StatusNotImplemented {
		t.Errorf("what is not there = %d %s", w.Code, w.Body)
	}
	w = s.do(t, http.MethodGet, "/compat/leshan/api/server/endpoint", web.RoleNone, "")
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a stranger = %d", w.Code)
	}
}

// A sleeper is a device that does not listen now.
type sleeper struct{ *webtest.Fake }

// Do implements web.Operations.
func (sleeper) Do(context.Context, web.Actor, string, web.Operation) (web.Outcome, error) {
	return web.Outcome{Pending: &web.DeviceOperation{ID: "O1"}}, nil
}

// ClientServlet.ResponseDelayed.
func TestLeshanDelayed(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	s := newSite(t, fake)
	services := fake.Services()
	services.Operations = sleeper{fake}
	s.use(t, services)
	w := s.do(t, http.MethodGet, leshanClient+"/3/0/0", web.RoleOperator, "")
	const want = `{"ep":"x","path":"/3/0/0","requestId":"O1","delayed":true}`
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("= %d %s, want %s", w.Code, w.Body, want)
	}
}

// EventServlet: what happens comes by the names and in the JSON of Leshan, of the
// device that was asked for.
func TestLeshanEvents(t *testing.T) {
	synctest.Test(t, leshanEvents)
}

func leshanEvents(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	value := func(subject, data string) {
		s.stream.Publish(web.Event{Type: web.EventValue, Subject: subject, Data: []byte(data)})
	}
	value(webtest.ID, `{"path":"/1/0/0","text":"first"}`)
	value(webtest.ID, `{"path":"/3/0/9","text":"80","kind":"integer"}`)
	value("gone", `{"path":"/3/0/9","text":"80","kind":"integer"}`)
	s.stream.Publish(web.Event{Type: web.EventAudit, Subject: webtest.ID})
	s.stream.Publish(web.Event{Type: web.EventDevice, Subject: webtest.ID, Data: []byte(`{"kind":"registered"}`)})
	value(webtest.ID, `{"path":"/3/0/0","text":"x","kind":"string","sent":true}`)
	for query, want := range map[string]int{"": 4, "&ep=x": 4, "&ep=other": 0} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // of the bubble
		target := "/compat/leshan/api/event?last_event_id=1" + query
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
		r.Header.Set("Authorization", "Bearer token-viewer")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		cancel()
		if n := strings.Count(w.Body.String(), "event: "); n != want {
			t.Errorf("%q = %d events, want %d\n%s", query, n, want, w.Body)
		}
		if want == 0 {
			continue
		}
		for _, part := range []string{
			"id: 2\nevent: NOTIFICATION\ndata: {\"ep\":\"x\",\"kind\":\"single\",\"res\":\"/3/0/9\",\"val\":{\"id\":9,",
			"id: 5\nevent: REGISTRATION\ndata: {\"endpoint\":\"x\",", "id: 5\nevent: AWAKE\ndata: {\"ep\":\"x\"}\n\n",
			"id: 6\nevent: SEND\ndata: {\"ep\":\"x\",\"val\":{\"/3/0/0\":{",
		} {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%q lacks %q\n%s", query, part, w.Body)
			}
		}
	}
}
